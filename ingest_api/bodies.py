"""Reading a request's body: as it comes, under caps of size, time and memory, inflated only to be checked.

What goes on the bus are the bytes as they came. A charge on the byte budget lasts as long as the request: whoever keeps
the bytes longer (the bus) counts them itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from litestar import Request

from ingest_api.errors import SenderGone, TooSlow
from ingest_api.settings import IngestSettings
from ledger.errors import TooLarge, Unavailable
from ledger.failpoints import failpoint
from ledger.inflating import inflate, normal_encoding
from ledger.json_text import readable

T = TypeVar("T")

_LONGEST_LENGTH = 18  # digits; a longer Content-Length is beyond any cap and not worth reading


class Overloaded(Unavailable):
    """Too many bytes are under way at once."""


@dataclass(slots=True)
class ByteBudget:
    """The memory that bodies of all requests under way may take together."""

    limit: int
    used: int = 0


@dataclass(slots=True)
class Charge:
    """What one request has taken of the budget."""

    budget: ByteBudget
    size: int = 0

    def add(self, size: int) -> None:
        """Take that much more. Raises `Overloaded` when there is not so much left."""
        if self.budget.used + size > self.budget.limit:
            raise Overloaded
        self.budget.used += size
        self.size += size


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it came."""

    wire: bytes
    encoding: str | None  # gzip, zstd or None


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads and checks the bodies of one service."""

    settings: IngestSettings
    budget: ByteBudget

    @contextmanager
    def charged(self) -> Iterator[Charge]:
        """A charge on the budget that is given back at the end, whatever happens."""
        charge = Charge(self.budget)
        try:
            yield charge
        finally:
            self.budget.used -= charge.size

    async def read(self, request: Request[Any, Any, Any], charge: Charge, cap: int | None = None) -> Body:
        """The whole body, at most `cap` bytes of it on the wire (by default as many as the settings allow).

        Raises `UnsupportedEncoding`, `TooLarge`, `TooSlow`, `Overloaded` or `SenderGone`.
        """
        cap = self.settings.max_body_bytes if cap is None else cap
        headers = dict(request.scope["headers"])
        encoding = normal_encoding(headers.get(b"content-encoding", b"").decode("latin-1"))
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
        """What `judge` says of the decoded bytes. It runs in a thread unless the body is small and plain."""
        decoded = body.wire
        if body.encoding is not None:
            cap = self.settings.max_body_bytes if cap is None else cap
            decoded = await asyncio.to_thread(inflate, body.wire, body.encoding, cap)
            charge.add(len(decoded))
        if len(decoded) > self.settings.thread_above_bytes:
            return await asyncio.to_thread(lambda: judge(readable(decoded)))
        return judge(readable(decoded))

    async def _collect(self, receive: Callable[[], Awaitable[Any]], charge: Charge, cap: int) -> bytes:
        latest = asyncio.get_running_loop().time() + self.settings.body_grace_seconds
        async with asyncio.timeout_at(latest) as limit:
            part, more = _taken(await receive(), charge, cap)
            if not more:
                return part
            buffer = bytearray(part)
            while more:
                limit.reschedule(latest + charge.size / self.settings.body_bytes_per_second)
                part, more = _taken(await receive(), charge, cap)
                buffer += part
        return bytes(buffer)


def _taken(message: Mapping[str, Any], charge: Charge, cap: int) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise SenderGone
    part: bytes = message.get("body", b"")
    charge.add(len(part))
    if charge.size > cap:
        raise TooLarge(f"The body is larger than {cap} bytes.")
    return part, message.get("more_body", False)
