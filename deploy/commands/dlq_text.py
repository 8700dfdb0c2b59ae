"""Dead letters as people read them in a terminal. Text that somebody sent cannot change the terminal's state."""

from base64 import b64decode
from typing import Any

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.commands.printable import printable, printable_line

_SHOWN_BYTES = 2000
_COLUMNS = ("position", "project", "kind", "reason", "attempts", "dead_at", "detail")


def table(dead_letters: list[dict[str, Any]]) -> None:
    """Print a table, as wide as the terminal; piped, each row is one line."""
    console = Console(soft_wrap=False)
    if not dead_letters:
        console.print("No dead letters.")
        return
    if not console.is_terminal:
        for item in dead_letters:
            click.echo("  ".join(_cell(item, name) for name in _COLUMNS))
        return
    shown = Table(*(name.replace("_", " ") for name in _COLUMNS), box=None, pad_edge=False)
    for item in dead_letters:
        shown.add_row(*(Text(_cell(item, name)) for name in _COLUMNS))
    console.print(shown)


def counts_text(counts: list[dict[str, Any]]) -> str:
    """One line per project and reason."""
    lines = [
        f"{printable_line(item['project'] or '(unknown)')}  {item['reason']}  {item['waiting']} waiting"
        f"  {item['replayed']} replayed  last {item['last_dead_at']}"
        for item in counts
    ]
    return "\n".join(lines) or "No dead letters."


def as_text(found: dict[str, Any]) -> str:
    """All that is kept of one; long bodies are cut (`--json` has all of it)."""
    lines = [f"{name:14}{printable(str(value))}" for name, value in found["dead_letter"].items() if value is not None]
    lines += [f"{name:14}{printable(str(found[name]))}" for name in ("topic", "code_version") if found[name]]
    lines += [f"{'replayed':14}{item['replayed_at']} → {item['position']}" for item in found["replays"]]
    lines += [
        f"{'header':14}{printable(item['name'])}: {printable(b64decode(item['value_base64']).decode(errors='replace'))}"
        for item in found["headers"]
    ]
    for name in ("key", "envelope", "body", "body_inflated"):
        if found[name] is not None:
            lines += ["", f"{name.replace('_', ' ')} ({found[name]['size']} bytes)", _content(found[name])]
    return "\n".join(lines)


def _cell(item: dict[str, Any], name: str) -> str:
    value = item[name]
    return "-" if value is None else printable_line(str(value))


def _content(content: dict[str, Any]) -> str:
    text = content["text"] if content["text"] is not None else f"base64: {content['base64']}"
    shown = text[:_SHOWN_BYTES]
    if len(text) == len(shown):
        return printable(shown)
    whole = "the first MiB; all of it is in body, compressed" if content.get("cut") else "all"
    return f"{printable(shown)}… ({len(text)} characters; --json shows {whole})"
