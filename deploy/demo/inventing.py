"""Invents calls: visits of users, conversations, latencies, tokens and failures, in believable proportions.

The same seed and clock give the same calls. No call ends after the clock's now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from deploy.demo.calls import Call, Failure, Session, Streaming, Tokens
from deploy.demo.deck import Deck
from deploy.demo.models import MODELS, Dialect, Model, Shape
from deploy.demo.prose import PHOTOS, PICTURES, SCENES, Exchange, Scene, catalogue
from ledger.clock import Clock, to_milliseconds

_BYTES_PER_TOKEN = 4
_CACHE_FROM_TOKENS = 1024  # shorter prompts are not kept by providers
_CACHE_STEP_TOKENS = 128
_USERS = 60
_PATIENCE_MS = 60_000  # after which a call that gets no reply is given up

_CATALOGUE = catalogue()

_FAILURES: tuple[Failure | None, ...] = (
    Failure(429, "rate_limit_error", "Rate limit reached for requests. Please try again in 1.2s."),
    Failure(429, "rate_limit_error", "You exceeded your current quota, please check your plan and billing details."),
    Failure(400, "invalid_request_error", "This model's maximum context length is 128000 tokens."),
    Failure(500, "server_error", "The server had an error while processing your request. Sorry about that!"),
    Failure(None, "connection_error", "Connection error."),
    *[None] * 70,
)
_ENVIRONMENTS = ("production",) * 14 + ("staging",) * 4 + ("development",) * 2
_WAYS = (Streaming.WHOLE,) * 5 + (Streaming.MERGED,) * 3 + (Streaming.RAW,) * 2
_STREAMING = {
    Dialect.OPENPIPE: _WAYS,
    Dialect.OPENPIPE_ANTHROPIC: _WAYS,
    Dialect.PEZZO: (Streaming.WHOLE,) * 9 + (Streaming.RAW,),
    Dialect.LOG_ENTRY: (Streaming.WHOLE,) * 2 + (Streaming.MERGED,),
}


class Inventor:
    """An endless source of calls."""

    def __init__(self, seed: int, clock: Clock, span: timedelta) -> None:
        self._chance = Random(seed)
        self._clock = clock
        self._span_ms = span // timedelta(milliseconds=1)
        self._models = Deck(self._chance, [model for model in MODELS for _ in range(model.share)])
        self._scenes = Deck(self._chance, SCENES)
        self._environments = Deck(self._chance, _ENVIRONMENTS)
        self._failures = Deck(self._chance, _FAILURES)
        self._streaming = {dialect: Deck(self._chance, ways) for dialect, ways in _STREAMING.items()}
        self._cache_hits = Deck(self._chance, (True, False, False, False))
        self._tool_calls = Deck(self._chance, (True, *[False] * 9))
        self._long_prompts = Deck(self._chance, (True, False, False))

    def calls(self) -> Iterator[Call]:
        """Call after call, visit after visit; a visit begins anywhere in the span before now."""
        while True:
            session = self._session()
            now = to_milliseconds(self._clock())
            at = now - self._chance.randint(0, self._span_ms)
            exchanges = session.scene.exchanges
            for place, exchange in enumerate(exchanges[: self._chance.randint(1, len(exchanges))]):
                call = self._call(session, exchanges[:place], exchange, _Moment(at, now))
                yield call
                at = call.received_at + self._chance.randint(5_000, 90_000)

    def _session(self) -> Session:
        model = self._models.draw()
        scene = self._scene_for(model)
        return Session(
            id=f"sess_{self._chance.getrandbits(48):012x}",
            user=f"user:{1000 + int(_USERS * self._chance.random() ** 2)}",  # some make many more calls than others
            environment=self._environments.draw(),
            model=model,
            scene=scene,
            system=f"{scene.system}\n\n{_CATALOGUE}" if self._long_prompts.draw() else scene.system,
        )

    def _scene_for(self, model: Model) -> Scene:
        if model.sees:
            return PHOTOS
        return PICTURES if model.shape is Shape.IMAGE else self._scenes.draw()

    def _call(self, session: Session, earlier: tuple[Exchange, ...], exchange: Exchange, moment: "_Moment") -> Call:
        model, failure = session.model, self._failures.draw()
        tokens = self._tokens(session, earlier, exchange)
        from_cache = model.dialect is Dialect.PEZZO and failure is None and self._cache_hits.draw()
        duration = 0 if from_cache else self._duration_ms(model, tokens, failure)
        streaming = self._streaming[model.dialect].draw()
        tool = model.shape is Shape.CHAT and streaming is Streaming.WHOLE and self._tool_calls.draw()
        return Call(
            session=session,
            earlier=earlier,
            exchange=exchange,
            reply_id=f"{self._chance.getrandbits(96):024x}",
            requested_at=min(moment.wanted, moment.now - duration),
            duration_ms=duration,
            tokens=tokens,
            streaming=streaming,
            failure=failure,
            from_cache=from_cache,
            calls_a_tool=tool and not from_cache,
        )

    def _tokens(self, session: Session, earlier: tuple[Exchange, ...], exchange: Exchange) -> Tokens:
        if session.model.shape is Shape.IMAGE:
            return Tokens(_tokens_in(exchange.question), self._chance.choice((272, 1056, 4160)))
        spoken = "".join(f"{said.question}{said.answer}" for said in earlier)
        read = 8 + _tokens_in(session.system + spoken + exchange.question)
        kept = read - read % _CACHE_STEP_TOKENS if read >= _CACHE_FROM_TOKENS else 0
        cached, stored = (kept, 0) if earlier else (0, kept)
        reasoning = 64 * self._chance.randint(2, 20) if session.model.reasons else 0
        return Tokens(read, _tokens_in(exchange.answer) + reasoning, cached, stored, reasoning)

    def _duration_ms(self, model: Model, tokens: Tokens, failure: Failure | None) -> int:
        if failure:
            return _PATIENCE_MS if failure.status is None else self._chance.randint(60, 400)
        first = model.first_token_ms * self._chance.lognormvariate(0, 0.35)
        rest = 1000 * tokens.output / model.tokens_per_second * self._chance.lognormvariate(0, 0.2)
        return round(first + rest)


@dataclass(frozen=True, slots=True)
class _Moment:
    """When a call is to begin, and the time after which it must not end; milliseconds since 1970."""

    wanted: int
    now: int


def _tokens_in(text: str) -> int:
    return max(1, round(len(text.encode()) / _BYTES_PER_TOKEN))
