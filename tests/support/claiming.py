"""A place for claims that remembers, and can be away, slow or forgetful: a fake by construction."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from ledger.blobs import StoredClaim
from ledger.errors import Unavailable


@dataclass(slots=True)
class RememberingClaims:
    """`Claims` and `SweepableClaims` in memory."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    written_at: dict[str, int] = field(default_factory=dict)
    away_for: int = 0  # so many calls find the storage unavailable
    open: asyncio.Event | None = None  # a put waits for it
    putting: int = 0
    most_at_once: int = 0
    fetched: list[str] = field(default_factory=list)
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def put_claim(self, name: str, body: bytes) -> None:
        """Remember the body, once `open` is set."""
        self._answer()
        self.putting += 1
        self.most_at_once = max(self.most_at_once, self.putting)
        self._begun.set()
        try:
            if self.open:
                await self.open.wait()
            self.bodies[name] = body
            self.written_at[name] = 0
        finally:
            self.putting -= 1

    async def until_putting(self, count: int) -> None:
        """Return once so many are being put."""
        while self.putting < count:
            self._begun.clear()
            await self._begun.wait()

    async def claim(self, name: str) -> bytes | None:
        """The body, if it is there."""
        self._answer()
        self.fetched.append(name)
        return self.bodies.get(name)

    async def claims(self) -> AsyncIterator[Sequence[StoredClaim]]:
        """One at a time."""
        for name in list(self.bodies):
            self._answer()
            yield [StoredClaim(name, self.written_at[name])]

    async def delete_claim(self, name: str) -> None:
        """Forget it."""
        self._answer()
        self.bodies.pop(name, None)

    def _answer(self) -> None:
        if self.away_for:
            self.away_for -= 1
            raise Unavailable("The blob store did not answer.")
