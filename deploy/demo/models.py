"""The models that the demo's calls go to: through which API each is reported, and how it behaves."""

from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """The report APIs."""

    OPENPIPE = "openpipe"
    OPENPIPE_ANTHROPIC = "openpipe-anthropic"
    PEZZO = "pezzo"
    LOG_ENTRY = "log-entry"


class Shape(StrEnum):
    """How a provider words requests and replies."""

    CHAT = "chat"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Model:
    """One model as one application calls it."""

    dialect: Dialect
    shape: Shape
    name: str  # as requested
    served: str  # as the reply names it
    first_token_ms: int  # typical
    tokens_per_second: int
    reasons: bool = False
    sees: bool = False  # may be given pictures
    vendor: str = "OpenAI"  # as Pezzo names the provider
    share: int = 1  # of the traffic


_OPENPIPE, _ANTHROPIC, _PEZZO, _ENTRY = Dialect

MODELS = (
    Model(_OPENPIPE, Shape.CHAT, "gpt-4o-mini", "gpt-4o-mini-2024-07-18", 380, 95, share=4),
    Model(_OPENPIPE, Shape.CHAT, "gpt-4o", "gpt-4o-2024-08-06", 520, 70, share=2),
    Model(_OPENPIPE, Shape.CHAT, "o4-mini", "o4-mini-2025-04-16", 2600, 110, reasons=True),
    Model(_OPENPIPE, Shape.CHAT, "acme-support-7b", "acme-support-7b", 140, 45),  # nobody knows its price
    Model(_ANTHROPIC, Shape.ANTHROPIC, "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", 900, 60, share=3),
    Model(_ANTHROPIC, Shape.ANTHROPIC, "claude-haiku-4-5", "claude-haiku-4-5-20251001", 450, 120, share=2),
    Model(_PEZZO, Shape.CHAT, "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 400, 90, share=3),
    Model(_PEZZO, Shape.CHAT, "gpt-4o", "gpt-4o-2024-11-20", 560, 65, vendor="Azure"),
    Model(_PEZZO, Shape.ANTHROPIC, "claude-3-5-haiku", "claude-3-5-haiku-20241022", 600, 80, vendor="Anthropic"),
    Model(_ENTRY, Shape.GEMINI, "gemini-2.5-flash", "gemini-2.5-flash", 350, 150, share=2),
    Model(_ENTRY, Shape.CHAT, "mistral-small-latest", "mistral-small-2506", 300, 110),
    Model(_ENTRY, Shape.CHAT, "deepseek-chat", "deepseek-chat", 800, 40),
    Model(_ENTRY, Shape.CHAT, "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 650, 90, sees=True),
    Model(_ENTRY, Shape.IMAGE, "gpt-image-1", "gpt-image-1", 9000, 600),
)
