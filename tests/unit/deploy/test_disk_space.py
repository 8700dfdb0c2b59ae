"""Room on the disk: what is refused below the floor, and that it goes on by itself."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.disk_space import LOOK_EVERY_SECONDS, MIB, DiskSpace, RoomyPublisher, floor_of, free_and_total
from ledger.bus import Publisher, Record
from ledger.bus.memory import MemoryBus
from ledger.errors import BusUnavailable
from ledger.report import Kind, encode
from tests.support.events import an_envelope

A_RECORD = Record(b"key", b"{}", b"body")
GIB = 1024 * MIB


@dataclass
class Disk:
    """A disk of 100 GiB, and a clock."""

    free: int = 50 * GIB
    total: int = 100 * GIB
    looks: int = 0
    now: float = 0.0
    space: DiskSpace = field(init=False)

    def __post_init__(self) -> None:
        self.space = DiskSpace(Path("folder"), self.look, lambda: self.now)

    def look(self, _: Path) -> tuple[int, int]:
        self.looks += 1
        return self.free, self.total

    def later(self) -> None:
        self.now += LOOK_EVERY_SECONDS


async def test_below_the_floor_nothing_is_accepted_until_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    disk, bus = Disk(), MemoryBus()
    publisher = RoomyPublisher(bus, disk.space)
    assert isinstance(publisher, Publisher)
    await publisher.publish(A_RECORD)
    disk.free = 255 * MIB
    disk.later()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(BusUnavailable, match=r"Not handed over: .*255 MiB free; below 256 MiB"):
                await publisher.publish(A_RECORD)
        disk.free = 256 * MIB
        disk.later()
        await publisher.publish(A_RECORD)
    assert len(bus.records) == 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_what_is_broadcast_deletes_and_is_taken_also_without_room() -> None:
    disk, bus = Disk(free=0), MemoryBus()
    await RoomyPublisher(bus, disk.space).broadcast(A_RECORD)
    assert len(bus.records) == 1


@pytest.mark.parametrize("kind", Kind)
async def test_of_single_records_those_that_delete_are_taken_without_room(kind: Kind) -> None:
    disk, bus = Disk(free=0), MemoryBus()
    publisher, record = RoomyPublisher(bus, disk.space), Record(b"key", encode(an_envelope(kind=kind)), b"{}")
    if kind.is_deletion:
        await publisher.publish(record)
    else:
        with pytest.raises(BusUnavailable):
            await publisher.publish(record)
    assert len(bus.records) == kind.is_deletion


async def test_of_records_published_together_those_that_delete_are_taken_without_room() -> None:
    disk, bus = Disk(free=0), MemoryBus()
    publisher = RoomyPublisher(bus, disk.space)
    records = [Record(b"key", encode(an_envelope(kind=kind)), b"{}") for kind in Kind]
    outcomes = await publisher.publish_all(records)
    assert [isinstance(outcome, BusUnavailable) for outcome in outcomes] == [not kind.is_deletion for kind in Kind]
    assert bus.records == [record for record, kind in zip(records, Kind, strict=True) if kind.is_deletion]
    disk.free = 50 * GIB
    disk.later()
    await publisher.publish_all(records)
    assert bus.records[-len(records) :] == records


def test_the_disk_is_looked_at_once_a_second_at_most() -> None:
    disk = Disk()
    for _ in range(100):
        assert disk.space.shortage() is None
    disk.later()
    assert disk.space.shortage() is None
    assert disk.looks == 2


@pytest.mark.parametrize(
    ("total", "largest_part", "floor"),
    [
        (500 * GIB, 0, 256 * MIB),
        (500 * GIB, 100 * MIB, 256 * MIB),
        (500 * GIB, 3 * GIB, 3 * GIB),
        (500 * GIB, 90 * GIB, 4 * GIB),
        (1 * GIB, 0, GIB // 20),
        (1 * GIB, 300 * MIB, 300 * MIB),
    ],
)
def test_the_floor_is_room_for_the_largest_merge(total: int, largest_part: int, floor: int) -> None:
    assert floor_of(total, largest_part) == floor


def test_a_laptop_with_900_mib_free_can_try_the_product() -> None:
    assert floor_of(250 * GIB, 0) < 900 * MIB


def test_what_is_looked_at_is_the_disk_of_the_folder(tmp_path: Path) -> None:
    free, total = free_and_total(tmp_path)
    assert 0 < free <= total
