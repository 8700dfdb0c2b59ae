"""A place for claims that remembers, and can be away, slow or forgetful: a fake by construction."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
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
    open_for: int = 0  # but for so many, which do not
    putting: int = 0
    most_at_once: int = 0
    fetched: list[str] = field(default_factory=list)
    fetching: int = 0
    most_fetched_at_once: int = 0
    deleted: int = 0
    listed_at_a_time: int = 1
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def put_claim(self, name: str, body: bytes) -> None:
        """Remember the body, once `open` is set."""
        self._answer()
        self.putting += 1
        self.most_at_once = max(self.most_at_once, self.putting)
        self._begun.set()
        try:
            if self.open and not self.open_for:
                await self.open.wait()
            self.open_for = max(0, self.open_for - 1)
            self.bodies[name] = body
            self._begun.set()
            self.written_at[name] = 0
        finally:
            self.putting -= 1

    async def until_putting(self, count: int) -> None:
        """Return once so many are being put."""
        await self.until(lambda: self.putting >= count)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return once something was begun, kept or deleted that makes it so."""
        while not is_so():
            self._begun.clear()
            await self._begun.wait()

    async def claim(self, name: str) -> bytes | None:
        """The body, if it is there."""
        self._answer()
        self.fetched.append(name)
        self.fetching += 1
        self.most_fetched_at_once = max(self.most_fetched_at_once, self.fetching)
        await asyncio.sleep(0)
        self.fetching -= 1
        return self.bodies.get(name)

    async def claims(self) -> AsyncIterator[Sequence[StoredClaim]]:
        """As many at a time as are to be listed so."""
        names = list(self.bodies)
        for start in range(0, len(names), self.listed_at_a_time):
            self._answer()
            part = names[start : start + self.listed_at_a_time]
            yield [StoredClaim(name, self.written_at[name]) for name in part]

    async def delete_claim(self, name: str) -> None:
        """Forget it."""
        self._answer()
        self.bodies.pop(name, None)
        self.deleted += 1
        self._begun.set()

    def _answer(self) -> None:
        if self.away_for:
            self.away_for -= 1
            raise Unavailable("The blob store did not answer.")
