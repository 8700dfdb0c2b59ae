"""One call of a model, as it happened: who asked whom what, when, how long it took and how it ended."""

from dataclasses import dataclass
from enum import StrEnum

from deploy.demo.models import Model
from deploy.demo.prose import Exchange, Scene


class Streaming(StrEnum):
    """How the reply came, and what its application kept of it."""

    WHOLE = "whole"
    MERGED = "merged"  # streamed, and put together by the client before it was reported
    RAW = "raw"  # streamed, and reported as the raw server-sent events


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call failed. Without a status there was no reply at all."""

    status: int | None
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Session:
    """What the calls of one visit have in common."""

    id: str
    user: str
    environment: str
    model: Model
    scene: Scene
    system: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Inclusive counts: what was cached is part of the input, reasoning is part of the output."""

    input: int
    output: int
    cached: int = 0  # read from the provider's prompt cache
    stored: int = 0  # put there, where the provider tells
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Both sides."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Call:
    """One call. Times are milliseconds since 1970, in UTC."""

    session: Session
    earlier: tuple[Exchange, ...]  # the conversation so far
    exchange: Exchange
    reply_id: str  # random, in hex
    requested_at: int
    duration_ms: int
    tokens: Tokens
    streaming: Streaming = Streaming.WHOLE
    failure: Failure | None = None
    from_cache: bool = False  # the reply came from the application's own cache
    calls_a_tool: bool = False

    @property
    def model(self) -> Model:
        """Whom the session asks."""
        return self.session.model

    @property
    def turn(self) -> int:
        """Which question of the conversation this is."""
        return len(self.earlier) + 1

    @property
    def received_at(self) -> int:
        """When the reply had come, or the failure was known."""
        return self.requested_at + self.duration_ms

    @property
    def status(self) -> int | None:
        """The provider's HTTP status; None when it sent none."""
        return self.failure.status if self.failure else 200
