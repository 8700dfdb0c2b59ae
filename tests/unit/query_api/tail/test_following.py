"""What one stream sends of rows that had to wait for their turn."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec.structs import replace

from ledger.bus import Position
from ledger.filtering.reach import Reach
from ledger.filtering.retained import Retained
from ledger.ids import ProjectId
from ledger.request_log import RequestLog, RowKey
from query_api.conditions import Conditions
from query_api.settings import TailCaps
from query_api.tail.asking import Asked
from query_api.tail.following import Following, Parts
from query_api.tail.settled import Settlements
from query_api.tail.windows import New, Windows
from tests.support.builders import A_TIME, a_request_log
from tests.support.query_service import A_NOW

SHOP = ProjectId("shop")
RATE = 10


def a_call(offset: int, created_at: int) -> RequestLog:
    return replace(a_request_log(created_at=created_at), position=Position(1, 0, offset))


@dataclass(slots=True)
class Stored:
    """Calls that are all new at once."""

    calls: Sequence[RequestLog]
    told: bool = False

    async def look(self) -> dict[tuple[int, int], int]:
        """Everything is settled."""
        return {(1, 0): len(self.calls)}

    async def matching(self, *_: object) -> tuple[list[New], None]:
        """All of them, once."""
        new = [] if self.told else [New(log.key, log.position, log.updated_at) for log in self.calls]
        self.told = True
        return new, None

    async def contents(self, new: Sequence[New]) -> dict[RowKey, RequestLog]:
        """These calls."""
        wanted = {item.key for item in new}
        return {log.key: log for log in self.calls if log.key in wanted}


@dataclass(slots=True)
class Reader:
    """Takes events until a call of this time has come."""

    last: int
    sent: list[Any] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, event: bytes) -> None:
        """One event."""
        head, _, data = event.decode().rstrip("\n").partition("\ndata: ")
        if head.endswith("event: request"):
            self.sent.append(json.loads(data)["id"])
        if len(self.sent) and self.sent[-1] == a_call(0, self.last).id:
            self.done.set()


async def test_a_row_that_became_too_old_while_it_waited_for_its_turn_is_not_sent() -> None:
    calls = [a_call(number, A_TIME - 1000 + number) for number in range(RATE + 3)] + [a_call(RATE + 3, A_TIME)]
    stored, reader = Stored(calls), Reader(A_TIME)

    async def reach_now() -> Reach:
        return Reach(SHOP, Retained(others=A_TIME))

    parts = Parts(cast(Settlements, stored), TailCaps(look_seconds=0.01, key_seconds=0), lambda: A_NOW)
    asked = Asked(Conditions(), RATE, since=1, resume=None, seconds=None)
    following = Following(parts, asked, cast(Windows, stored), Reach(SHOP), reach_now, reader.take)
    running = asyncio.create_task(following.run({}))
    try:
        async with asyncio.timeout(20):
            await reader.done.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert reader.sent == [log.id for log in [*calls[:RATE], calls[-1]]]
