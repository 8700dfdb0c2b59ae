"""The data set of the benchmark of reading: what it promises about its rows."""

from collections import Counter

from ledger.request_log import RequestLog, RowKey
from tests.bench.query.dataset import PROJECT, Batch, Dataset, Parameters
from tests.bench.query.texts import COMMON, RARE

OF = Parameters(rows=10_000, last_ms=1_790_000_000_000)
BATCHES = list(Dataset(OF).batches())
SENT = [row for batch in BATCHES for row in (*batch.rows, *batch.repeats)]


def current(rows: list[RequestLog]) -> dict[RowKey, RequestLog]:
    """What is left of these rows after deduplication."""
    return {row.key: row for row in sorted(rows, key=lambda row: row.version)}


def test_so_many_rows_are_made_most_of_them_of_the_project_that_is_asked_for() -> None:
    rows = current(SENT)
    assert len(rows) == OF.rows
    assert Counter(row.project for row in rows.values())[PROJECT] == OF.rows * 4 // 5


def test_one_row_in_a_hundred_is_updated_later_and_some_of_these_are_deleted() -> None:
    seen: set[RowKey] = set()
    updates = []
    for row in SENT:
        if row.key in seen and row.version & 0xFFFF == 2:
            updates.append(row)
        seen.add(row.key)
    assert len(updates) == OF.rows // 100
    assert sum(row.is_deleted for row in updates) == OF.rows // 5_000


def test_a_batch_that_is_delivered_again_holds_the_very_same_rows() -> None:
    again = [(number, batch) for number, batch in enumerate(BATCHES) if batch.repeats]
    assert [number for number, _ in again] == [5]
    assert list(again[0][1].repeats) == new_of(BATCHES[4])


def new_of(batch: Batch) -> list[RequestLog]:
    """The rows that came for the first time with this batch."""
    return [row for row in batch.rows if row.version & 0xFFFF == 1]


def test_new_rows_come_in_the_order_of_their_times_some_of_them_in_one_millisecond() -> None:
    times = [row.created_at for batch in BATCHES for row in new_of(batch)]
    assert times == sorted(times)
    assert len(times) - len(set(times)) == OF.rows // 10
    assert OF.first_ms == times[0] < times[-1] < OF.last_ms


def test_the_rare_word_is_in_very_few_rows_and_the_common_one_in_a_third() -> None:
    rows = [row.bodies for row in current(SENT).values() if row.bodies]
    assert 1 <= sum(RARE in (bodies.prompt or "") for bodies in rows) <= 2
    assert sum(COMMON in (bodies.completion or "") for bodies in rows) == -(-OF.rows // 3)


def test_bodies_are_about_a_kilobyte_and_not_all_of_one_script() -> None:
    bodies = [row.bodies for row in new_of(BATCHES[7]) if row.bodies]
    texts = [
        [body.prompt or "", body.completion or "", body.raw_request or "", body.raw_response or ""] for body in bodies
    ]
    sizes = [sum(len(text.encode()) for text in four) for four in texts]
    assert 800 < sum(sizes) / len(sizes) < 1300
    letters = Counter(letter for four in texts for letter in four[0])
    assert any("а" <= letter <= "я" for letter in letters)
    assert any("一" <= letter <= "鿿" for letter in letters)


def test_the_same_parameters_make_the_same_rows() -> None:
    assert Dataset(OF).new_rows(7) == new_of(BATCHES[7])
