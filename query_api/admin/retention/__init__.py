"""How long calls are kept: `controller` shows and sets it, `showing` says it in the answer's shapes."""
