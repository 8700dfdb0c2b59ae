"""One stream from its beginning to its end.

Again and again: how far is the bus settled, which rows are new, send them, remember how far that was. What was seen is
remembered with every event, so that a stream that breaks off anywhere goes on there: nothing is lost, nothing is
repeated. Rows are read when they are sent, so a slow reader holds up nobody and keeps nothing waiting in memory.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.clock import Clock, to_milliseconds
from ledger.errors import LedgerError, Refused, Unavailable
from ledger.filtering.reach import Reach
from query_api import views
from query_api.errors import TooBusy, TooExpensive
from query_api.settings import TailCaps
from query_api.spans import DAY_MS
from query_api.tail import events
from query_api.tail.allowance import Allowance
from query_api.tail.asking import Asked
from query_api.tail.positions import Place, Places, Seen, encode, texts
from query_api.tail.settled import Settlements
from query_api.tail.windows import LeftOut, New, Window, Windows

"""Calls that were accepted longer ago are not looked for, also when they change."""

log = logging.getLogger(__name__)

Write: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Hands bytes to the reader, and waits while it does not take them."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all tails of a process share."""

    settlements: Settlements
    caps: TailCaps
    clock: Clock
    now: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Following:
    """One reader's stream. `reach_now` raises `Refused` once its key may not read any more."""

    parts: Parts
    asked: Asked
    windows: Windows
    reach: Reach  # as it was last looked up
    reach_now: Callable[[], Awaitable[Reach]]
    write: Write
    _seen: dict[Place, int] = field(default_factory=dict, init=False)
    _since: int = field(default=0, init=False)
    _backlog: int = field(default=0, init=False)  # so many rows may be sent one after the other instead of left out
    _allowance: Allowance = field(init=False)
    _wrote_at: float = field(init=False)
    _checked_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._allowance = Allowance(self.asked.rate, self.parts.now)
        self._wrote_at = self._checked_at = self.parts.now()

    async def run(self, settled: Places) -> None:
        """Send until the time is over or it cannot go on; `settled` is how far the bus is at the beginning."""
        await self._begin(settled)
        try:
            async with asyncio.timeout(self.asked.seconds) as limit:
                await self._follow()
        except TimeoutError:
            if not limit.expired():
                raise
        except (TooExpensive, Refused) as error:
            await self._write(events.error(str(error)))
        except LedgerError as error:
            log.error("A tail has ended.", extra={"action": "tail_failed", "detail": str(error)})
            await self._write(events.error("The stream cannot go on; the service's log says why."))

    async def _begin(self, settled: Places) -> None:
        if self.asked.resume is not None:
            self._seen, self._since = dict(self.asked.resume.places), self.asked.resume.since
        elif self.asked.since is not None:
            self._since = self.asked.since
        else:
            self._seen = dict(settled)
        if self.asked.resume is not None or self.asked.since is not None:
            self._backlog = self.parts.caps.backlog_rows
        since = views.iso(self._since) if self._since else None
        await self._write(events.ready(self._id(), texts(self._seen), self.asked.rate, since))
        wanted_from = self.asked.since if self.asked.resume is None else self.asked.resume.at
        if wanted_from is not None and wanted_from < self._day_ago():
            first, last = views.iso(wanted_from), views.iso(self._day_ago())
            await self._write(events.skipped(self._id(), None, first, last))

    async def _follow(self) -> None:
        away = False
        while True:
            try:
                await self._step()
                away = False
            except (Unavailable, TooBusy):
                if not away:
                    await self._write(events.waiting())
                away, self._backlog = True, self.parts.caps.backlog_rows  # what comes meanwhile is sent whole
            await self._pause(self.parts.caps.look_seconds)

    async def _step(self) -> None:
        """Send what has become readable since the last time."""
        up_to = await self.parts.settlements.look()
        window = Window(dict(self._seen), up_to, accepted_from=self._day_ago(), created_from=self._since)
        if window.moved:
            most = self.parts.caps.backlog_rows
            new, left_out = await self.windows.matching(window, self.asked.conditions, self.reach, most)
            if left_out is not None:
                self._seen.update(window.before(new))
            if self._backlog and len(new) <= self._backlog:
                await self._leave_out([], left_out)
                await self._send_all(new)
                self._backlog = len(new) // 2  # what came meanwhile is sent whole as well, while it becomes less
            else:
                granted = self._allowance.take(len(new))
                await self._leave_out(new[: len(new) - granted], left_out)
                await self._send(new[len(new) - granted :])
                self._backlog = 0
            self._seen.update({place: last for place, _, last in window.moved})
        self._since = 0

    async def _send_all(self, new: Sequence[New]) -> None:
        """One after the other, as fast as the rate allows."""
        at = 0
        while at < len(new):
            granted = self._allowance.take(len(new) - at)
            await self._send(new[at : at + granted])
            at += granted
            if at < len(new):
                await self._pause(max(1 / self.asked.rate, 0.1))

    async def _send(self, new: Sequence[New]) -> None:
        contents = await self.windows.contents(new)
        for item in new:
            self._seen[item.place] = item.position.offset
            if item.key in contents and self._is_kept(item):
                await self._write(events.request(self._id(), views.row(contents[item.key])))

    def _is_kept(self, item: New) -> bool:
        """A row that waited for its turn may be too old by then to be shown."""
        earliest = self.reach.narrowed(item.key.project).earliest
        return earliest is None or item.key.created_at >= earliest

    async def _leave_out(self, new: Sequence[New], more: LeftOut | None) -> None:
        """Say which rows are not sent: these, and more that were not even read."""
        if not new and more is None:
            return
        self._seen.update({item.place: item.position.offset for item in new})
        times = [item.key.created_at for item in new] + ([more.first, more.last] if more else [])
        count = len(new) + ((more.count or 0) if more else 0)
        await self._write(events.skipped(self._id(), count, views.iso(min(times)), views.iso(max(times))))

    async def _pause(self, seconds: float) -> None:
        """Wait, and do what is due: is the key still valid, is the connection still open?"""
        await asyncio.sleep(seconds)
        now, caps = self.parts.now(), self.parts.caps
        if now - self._checked_at >= caps.key_seconds:
            self._checked_at = now
            self.reach = await self.reach_now()
        if now - self._wrote_at >= caps.heartbeat_seconds:
            await self._write(events.heartbeat(self._id()))

    async def _write(self, event: bytes) -> None:
        await self.write(event)
        self._wrote_at = self.parts.now()

    def _id(self) -> str:
        return encode(Seen(self._seen, to_milliseconds(self.parts.clock()), self._since))

    def _day_ago(self) -> int:
        return to_milliseconds(self.parts.clock()) - DAY_MS
