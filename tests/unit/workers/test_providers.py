"""Whose model is this?"""

import pytest

from workers.providers import inferred_provider, prefixed_provider


@pytest.mark.parametrize(
    ("model", "prefixed", "inferred"),
    [
        ("openai:gpt-4o", "openai", "openai"),
        ("anthropic/claude-3.5-sonnet", "anthropic", "anthropic"),
        ("gemini:gemini-2.5-pro", "google", "google"),
        ("openpipe:my-model", "openpipe", "openpipe"),
        ("gpt-4o", None, "openai"),
        ("o3-mini", None, "openai"),
        ("ft:gpt-4o:acme::1", None, "openai"),
        ("claude-sonnet-4-5", None, "anthropic"),
        ("gemini-2.5-pro", None, "google"),
        ("mistral-large", None, "mistral"),
        ("deepseek-chat", None, "deepseek"),
        ("grok-4", None, "x-ai"),
        ("command-r", None, "cohere"),
        ("openaigpt", None, None),
        ("llama-3", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_the_prefix_says_it_else_the_name(model: str | None, prefixed: str | None, inferred: str | None) -> None:
    assert prefixed_provider(model) == prefixed
    assert inferred_provider(model) == inferred
