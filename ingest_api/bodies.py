"""Reading a request's body: as it comes, under caps of size, time and memory, inflated only to be checked.

What goes on the bus are the bytes as they came. A charge on the byte budget lasts as long as the request: whoever keeps
the bytes longer (the bus) counts them itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from io import BytesIO
from threading import Lock
from typing import Any, Self, TypeVar

import msgspec
from litestar import Request

from ingest_api.deadlines import Deadlines
from ingest_api.errors import SenderGone, TooSlow
from ingest_api.settings import IngestSettings
from ledger.errors import Invalid, TooLarge, Unavailable
from ledger.failpoints import failpoint
from ledger.inflating import inflate, normal_encoding
from ledger.json_text import readable

T = TypeVar("T")

MAX_RATIO = 100
"""So many bytes may come out of one byte of a compressed body; texts reach 10, the formats 1,000 and more."""

JUDGED_AT_ONCE = 2
"""Judging takes several times the body's size for a moment; and only one thread at a time gets on."""

_SMALL_BYTES = 256 * 1024  # a plain body of this size needs no turn; a packed one may become a hundred times as large

_LONGEST_LENGTH = 18  # digits; a longer Content-Length is beyond any cap and not worth reading


class Overloaded(Unavailable):
    """Too many bytes are under way at once."""


@dataclass(slots=True)
class ByteBudget:
    """The memory that bodies of all requests under way may take together, as they came and inflated."""

    limit: int
    used: int = 0
    _changing: Lock = field(default_factory=Lock, init=False)  # bodies are inflated in threads

    def take(self, size: int) -> bool:
        """Whether there was so much left; then it is taken."""
        with self._changing:
            fits = self.used + size <= self.limit
            self.used += size if fits else 0
            return fits

    def give_back(self, size: int) -> None:
        """So much is free again."""
        with self._changing:
            self.used -= size


@dataclass(slots=True)
class Charge:
    """What one request has taken of the budget. It is given back at the end of the `with`, whatever happens there."""

    budget: ByteBudget
    size: int = 0

    def add(self, size: int) -> None:
        """Take that much more. Raises `Overloaded` when there is not so much left."""
        if not self.budget.take(size):
            raise Overloaded
        self.size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.budget.give_back(self.size)


class Body(msgspec.Struct, frozen=True):
    """A body as it came."""

    wire: bytes
    encoding: str | None  # gzip, zstd or None


@dataclass(frozen=True, slots=True)
class Turns:
    """Who may judge a large body now. Strangers wait only for each other: they hold up nobody who is known."""

    known: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(JUDGED_AT_ONCE))
    strangers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads and checks the bodies of one service."""

    settings: IngestSettings
    budget: ByteBudget
    turns: Turns = field(default_factory=Turns)
    _deadlines: Deadlines = field(default_factory=Deadlines, init=False)

    def charged(self) -> Charge:
        """A charge on the budget, for a `with`."""
        return Charge(self.budget)

    async def read(self, request: Request[Any, Any, Any], charge: Charge, cap: int | None = None) -> Body:
        """The whole body, at most `cap` bytes of it on the wire (by default as many as the settings allow).

        Raises `UnsupportedEncoding`, `TooLarge`, `TooSlow`, `Overloaded` or `SenderGone`.
        """
        cap = self.settings.max_body_bytes if cap is None else cap
        headers = dict(request.scope["headers"])
        encoding = _encoding_of(headers)
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and (len(announced) > _LONGEST_LENGTH or int(announced) > cap):
            raise TooLarge(f"The body is larger than {cap} bytes.")
        try:
            wire = await self._collect(request.receive, charge, cap)
        except TimeoutError:
            raise TooSlow from None
        failpoint("A0")
        return Body(wire, encoding)

    async def judged(self, body: Body, charge: Charge, judge: Callable[[bytes], T], cap: int | None = None) -> T:
        """What `judge` says of the decoded bytes, made readable. See `decoded`, which it is beside that."""
        return await self.decoded(body, charge, lambda text: _judged(text, judge), cap)

    async def decoded(self, body: Body, charge: Charge, work: Callable[[bytes], T], cap: int | None = None) -> T:
        """What `work` makes of the decoded bytes. It runs in a thread unless the body is small and plain.

        Raises `TooLarge`, `Invalid` or `Overloaded` for what cannot be inflated, and what `work` raises.
        """
        if body.encoding is None and len(body.wire) <= self.settings.thread_above_bytes:
            return work(body.wire)
        async with self._gate(body, of_a_stranger=cap is not None):
            most = self.settings.max_body_bytes if cap is None else cap
            return await _to_its_end(asyncio.to_thread(_worked, body, charge, work, most))

    def _gate(self, body: Body, *, of_a_stranger: bool) -> AbstractAsyncContextManager[object]:
        """Large bodies wait for their turn, and those of strangers only for each other. Small ones need not wait."""
        if len(body.wire) <= (_SMALL_BYTES if body.encoding is None else _SMALL_BYTES // 16):
            return nullcontext()
        return self.turns.strangers if of_a_stranger else self.turns.known

    async def _collect(self, receive: Callable[[], Awaitable[Any]], charge: Charge, cap: int) -> bytes:
        grace = self.settings.body_grace_seconds
        with self._deadlines.after(grace) as deadline:
            part, more = _taken(await receive(), charge, cap)
            if not more:
                return part
            buffer = BytesIO()  # it gives its bytes away without a second copy of them
            buffer.write(part)
            while more:
                deadline.put_off(grace + charge.size / self.settings.body_bytes_per_second)
                part, more = _taken(await receive(), charge, cap)
                buffer.write(part)
        return buffer.getvalue()


def _encoding_of(headers: Mapping[bytes, bytes]) -> str | None:
    named = headers.get(b"content-encoding")
    return None if named is None else normal_encoding(named.decode("latin-1"))


def _judged(text: bytes, judge: Callable[[bytes], T]) -> T:
    try:
        return judge(text)
    except Invalid:
        # Every judge refuses half of a character, so only what is refused is looked through for them.
        whole = readable(text)
        if whole == text:
            raise
    return judge(whole)


def _worked(body: Body, charge: Charge, work: Callable[[bytes], T], cap: int) -> T:
    return work(inflate(body.wire, body.encoding, cap, max_ratio=MAX_RATIO, count=charge.add))


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """A thread cannot be given up: who is cancelled meanwhile waits for it, for it still charges and holds memory."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
    finally:
        del task  # its error names this frame, and this frame would name it: a refused body would stay in memory


def _taken(message: Mapping[str, Any], charge: Charge, cap: int) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise SenderGone
    part: bytes = message.get("body", b"")
    charge.add(len(part))
    if charge.size > cap:
        raise TooLarge(f"The body is larger than {cap} bytes.")
    return part, message.get("more_body", False)
