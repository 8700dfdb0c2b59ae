"""The pace is the client's: a page is read when the one before was taken, and a failure is never an end."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from ledger.errors import StoreUnavailable, UnknownKey
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog
from query_api.errors import TooExpensive
from query_api.export.columns import Item
from query_api.export.loading import FIRST_ROWS, MOST_ROWS, SEVERAL_ROWS_BYTES, Loader
from query_api.export.places import Places, TooManyExports
from query_api.export.producing import produced
from query_api.export.text_forms import Ndjson
from query_api.export.walking import Walk
from query_api.reading import Reader
from tests.support.builders import A_TIME, a_request_log, an_id

SHOP = ProjectId("shop")


def rows(*numbers: int) -> list[RequestLog]:
    return [a_request_log(id=an_id(A_TIME, number)) for number in numbers]


@dataclass(slots=True)
class Pages:
    """A walk over pages that are there already; after them it ends or fails."""

    pages: list[Sequence[RequestLog]]
    failure: Exception | None = None
    read: int = 0
    gone: int = 0
    reach: Reach | None = None

    async def page(self) -> Sequence[RequestLog] | None:
        """The next one."""
        if self.read == len(self.pages):
            if self.failure:
                raise self.failure
            return None
        self.read += 1
        return self.pages[self.read - 1]

    def missed(self, count: int) -> None:
        """So many were not sent."""
        self.gone += count


@dataclass(slots=True)
class Key:
    """A key that is taken out of force after it was looked at so many times."""

    looks: int = 1000

    async def reach_now(self) -> Reach:
        """Of one project."""
        self.looks -= 1
        if self.looks < 0:
            raise UnknownKey
        return Reach(SHOP)


@dataclass(slots=True)
class FakeReader:
    """Bodies of one size each, and the cap that an answer has."""

    size: int = 1
    cap: int = 256 * 1024**2
    hidden: Sequence[RequestLog] = ()  # deleted meanwhile
    asked: list[int] = field(default_factory=list)

    def renewed(self, most_bytes: int | None = None) -> "FakeReader":
        """The same with a lower cap."""
        return FakeReader(self.size, min(self.cap, most_bytes or self.cap), self.hidden, self.asked)

    async def bodies(self, keys: Sequence[object], names: Sequence[str]) -> dict[object, Bodies]:
        """A prompt for each key."""
        self.asked.append(len(keys))
        if len(keys) * self.size > self.cap:
            raise TooExpensive
        gone = [log.key for log in self.hidden]
        return {key: Bodies(prompt="x" * self.size) for key in keys if key not in gone}

    async def logs(self, keys: Sequence[object]) -> dict[object, None]:
        """Those of the keys that are still there."""
        gone = [log.key for log in self.hidden]
        return {key: None for key in keys if key not in gone}


def export(
    walk: Pages, places: Places | None = None, key: Key | None = None, loader: Loader | None = None
) -> AsyncGenerator[bytes, None]:
    loader = loader or Loader(cast(Reader, FakeReader()), ())
    return produced(cast(Walk, walk), loader, Ndjson(("id",)), places or Places(), SHOP, (key or Key()).reach_now)


async def test_no_page_is_read_before_the_one_before_it_was_taken() -> None:
    walk = Pages([rows(number) for number in range(5)])
    parts = export(walk)
    assert walk.read == 0
    for taken in range(1, 6):
        await anext(parts)
        assert walk.read == taken
    await parts.aclose()


async def test_the_first_part_comes_also_when_nothing_was_found_so_far() -> None:
    walk = Pages([[], rows(1)])
    parts = export(walk)
    assert await anext(parts) == b""
    assert walk.read == 1
    assert b"".join([part async for part in parts]) == f'{{"id":"{an_id(A_TIME, 1)}"}}\n'.encode()


async def test_a_failure_is_raised_and_the_place_is_given_back() -> None:
    places = Places(per_project=1)
    parts = export(Pages([rows(1)], StoreUnavailable()), places)
    assert await anext(parts)
    with pytest.raises(StoreUnavailable):
        await anext(parts)
    with places.taken(SHOP):
        pass


async def test_who_stops_taking_gives_the_place_back() -> None:
    places = Places(per_project=1)
    parts = export(Pages([rows(1), rows(2)]), places)
    await anext(parts)
    with pytest.raises(TooManyExports):
        await anext(export(Pages([]), places))
    await parts.aclose()
    with places.taken(SHOP):
        pass


async def test_a_key_that_is_taken_out_of_force_ends_the_export_before_the_next_page() -> None:
    walk = Pages([rows(1), rows(2), rows(3)])
    parts = export(walk, key=Key(looks=2))
    assert await anext(parts)
    assert await anext(parts)
    with pytest.raises(UnknownKey):
        await anext(parts)
    assert walk.read == 2


async def test_a_key_that_is_taken_out_of_force_ends_the_export_before_the_next_bodies() -> None:
    reader = FakeReader()
    parts = export(Pages([rows(*range(FIRST_ROWS + 1))]), key=Key(1), loader=Loader(cast(Reader, reader), ("prompt",)))
    assert await anext(parts)
    with pytest.raises(UnknownKey):
        await anext(parts)
    assert reader.asked == [FIRST_ROWS]


async def test_rows_that_were_deleted_since_their_page_was_read_are_told_to_the_walk() -> None:
    logs = rows(*range(FIRST_ROWS + 5))
    walk, reader = Pages([logs]), FakeReader(hidden=[logs[0], logs[1], logs[-1]])
    sent = b"".join([part async for part in export(walk, loader=Loader(cast(Reader, reader), ("prompt",)))])
    assert (walk.gone, len(sent.splitlines())) == (3, FIRST_ROWS + 2)


async def loaded(loader: Loader, logs: Sequence[RequestLog]) -> list[list[Item]]:
    parts: list[list[Item]] = []
    while logs:
        items, logs = await loader.load(logs)
        parts.append(items)
    return parts


async def test_bodies_are_read_of_ever_more_rows_while_they_are_small() -> None:
    reader = FakeReader(size=10)
    logs = rows(*range(3 * MOST_ROWS))
    parts = await loaded(Loader(cast(Reader, reader), ("prompt",)), logs)
    assert [item.log for part in parts for item in part] == logs
    assert reader.asked[0] == FIRST_ROWS
    assert max(reader.asked) == MOST_ROWS


async def test_bodies_that_are_too_large_together_are_read_of_fewer_rows_down_to_one() -> None:
    reader = FakeReader(size=SEVERAL_ROWS_BYTES - 1)
    logs = rows(1, 2, 3)
    parts = await loaded(Loader(cast(Reader, reader), ("prompt",)), logs)
    assert [[item.log for item in part] for part in parts] == [[log] for log in logs]
    assert reader.asked == [3, 1, 1, 1]


async def test_a_row_whose_bodies_are_too_large_alone_is_an_error() -> None:
    reader = FakeReader(size=20, cap=10)
    with pytest.raises(TooExpensive):
        await loaded(Loader(cast(Reader, reader), ("prompt",)), rows(1, 2))
    assert reader.asked == [2, 1]


async def test_a_row_that_was_deleted_since_its_page_was_read_is_left_out() -> None:
    logs = rows(1, 2, 3)
    reader = FakeReader(hidden=logs[1:2])
    (part,) = await loaded(Loader(cast(Reader, reader), ("prompt",)), logs)
    assert [item.log for item in part] == [logs[0], logs[2]]
