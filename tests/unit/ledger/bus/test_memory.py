"""The bus in memory, beyond the contracts."""

import pytest

from ledger.bus import Position, Record
from ledger.bus.memory import MemoryBus
from ledger.errors import BusUnavailable

RECORD = Record(b"key", b"{}", b"body", (("name", b"value"),))


async def test_while_away_it_takes_nothing() -> None:
    bus = MemoryBus(away=True)
    with pytest.raises(BusUnavailable, match="Not handed over"):
        await bus.publish(RECORD)
    assert bus.records == []


async def test_its_generation_is_in_every_position() -> None:
    bus = MemoryBus(generation=7)
    assert await bus.publish(RECORD) == Position(7, 0, 0)
    assert (await bus.reopened().poll(1))[0].position == Position(7, 0, 0)


async def test_closing_twice_is_harmless() -> None:
    bus = MemoryBus()
    await bus.close()
    await bus.close()
    assert await bus.poll(1) == []


async def test_a_commit_of_other_partitions_is_none_of_its_own() -> None:
    bus = MemoryBus()
    await bus.publish(RECORD)
    await bus.commit({3: 9})
    assert len(await bus.reopened().poll(1)) == 1
