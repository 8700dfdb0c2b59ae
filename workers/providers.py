"""Whose model is this? A prefix that names the provider, else what the model's own name says."""

PREFIXES = {"openai": "openai", "anthropic": "anthropic", "gemini": "google", "openpipe": "openpipe"}

NAMES = (
    (
        ("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "dall-e", "whisper", "tts-", "davinci", "ft:"),
        "openai",
    ),
    (("claude",), "anthropic"),
    (("gemini", "gemma", "imagen", "veo-"), "google"),
    (("mistral", "mixtral", "codestral", "ministral", "magistral", "pixtral"), "mistral"),
    (("deepseek",), "deepseek"),
    (("grok",), "x-ai"),
    (("command",), "cohere"),
)


def prefixed_provider(model: str | None) -> str | None:
    """The provider that a known prefix (`openai:` or `openai/`) names."""
    if model is None:
        return None
    for separator in ":/":
        prefix, found, _ = model.partition(separator)
        if found and prefix in PREFIXES:
            return PREFIXES[prefix]
    return None


def inferred_provider(model: str | None) -> str | None:
    """The provider that the model's prefix or name tells; None when it tells nothing."""
    if model is None:
        return None
    prefixed = prefixed_provider(model)
    if prefixed:
        return prefixed
    for names, provider in NAMES:
        if model.startswith(names):
            return provider
    return None
