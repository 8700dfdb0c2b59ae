"""The short way of a fold, for records of which nothing but their report is known, against the long one."""

import asyncio
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Position
from ledger.ids import RecordId, keyed_id
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import a_report, unpriced
from tests.support.recording import RememberingStore
from workers.folding import Chunk, Fold, FoldedRow, fold
from workers.normalising import Normalised

LATER_THAN_ALL = Position(255, 0, 1)
"""As the place of a deletion for which late events are judged, it makes every record take the long way."""

KEYED = [keyed_id(f"order {name}", ID_SECRET) for name in "ab"]

IDS: list[RecordId] = [*(an_id(A_TIME, number) for number in range(3)), *KEYED]

BODIES = [{"tags": {"n": "1"}}, {"tags": {"n": "2"}}]

reports = st.builds(
    lambda id_, body, offset: a_report(BODIES[body], offset, record_id=id_),
    st.sampled_from(IDS),
    st.integers(0, 1),
    st.integers(1, 6),
)


def folded(events: list[Normalised], until: Position | None) -> Fold:
    return asyncio.run(fold(Chunk(events, until=until), RememberingStore(), unpriced))


def in_order(fold: Fold) -> list[FoldedRow]:
    return sorted(fold.rows, key=attrgetter("row.id"))


@given(st.lists(reports, max_size=8))
def test_a_record_without_updates_has_the_same_row_either_way(events: list[Normalised]) -> None:
    short, long = folded(events, None), folded(events, LATER_THAN_ALL)
    assert in_order(short) == in_order(long)
    assert (short.entries, short.rejected, short.blobs) == (long.entries, long.rejected, long.blobs)
