"""What to do about a failure, and how look-ups are cut: without an engine."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    DataError,
    OperationalError,
    ProgrammingError,
    StreamFailureError,
)

from ledger.errors import StoreUnavailable
from ledger.ids import ProjectId, from_int, is_keyed, keyed_id, to_int
from ledger.store import DataRefused, RequestLogStore, StoreBroken
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore, is_embedded
from ledger.store.columns import time_text
from ledger.store.remedies import DATA, TRANSIENT, sorted_by_remedy
from ledger.store.row_reads import IDS_PER_LOOK_UP, by_project, read_by_id
from tests.support.builders import A_TIME, ID_SECRET, an_id

TOO_MANY_PARTITIONS = "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)."
TOO_MANY_PARTS = [
    "Code: 252. DB::Exception: Too many parts (3001 with average size of 1.00 KiB) in table 'l.request_logs'. Merges"
    " are processing significantly slower than inserts. (TOO_MANY_PARTS)",
    "Code: 252. DB::Exception: Too many parts (100001) in all partitions in total in table 'l.request_logs'. This"
    " indicates wrong choice of partition key. (TOO_MANY_PARTS)",
]


@pytest.mark.parametrize("code", [159, 202, 209, 210, 241, 242, 243, 279, 319, 425, 999])
def test_what_waiting_cures_is_unavailable(code: int) -> None:
    assert isinstance(sorted_by_remedy(DatabaseError("no", code=code)), StoreUnavailable)


@pytest.mark.parametrize("code", [6, 27, 33, 38, 41, 53, 69, 70, 117, 131, 349])
def test_what_the_rows_are_at_fault_for_is_refused(code: int) -> None:
    assert isinstance(sorted_by_remedy(DatabaseError("no", code=code)), DataRefused)


@pytest.mark.parametrize("code", [16, 60, 81, 164, 192, 193, 194, 497, 516, 62, 1001, 123456])
def test_everything_else_is_broken(code: int) -> None:
    assert isinstance(sorted_by_remedy(DatabaseError("no", code=code)), StoreBroken)


def test_no_code_is_in_two_classes() -> None:
    assert not TRANSIENT & DATA


@pytest.mark.parametrize("text", TOO_MANY_PARTS)
def test_a_table_with_too_many_parts_is_unavailable_and_no_fault_of_the_rows(text: str) -> None:
    assert isinstance(sorted_by_remedy(DatabaseError(text, code=252)), StoreUnavailable)


def test_an_insert_over_too_many_partitions_is_a_fault_of_its_rows() -> None:
    assert isinstance(sorted_by_remedy(DatabaseError(TOO_MANY_PARTITIONS, code=252)), DataRefused)


@pytest.mark.parametrize("error", [OperationalError("refused"), StreamFailureError("cut")])
def test_without_a_code_it_was_the_network(error: ClickHouseError) -> None:
    assert isinstance(sorted_by_remedy(error), StoreUnavailable)


def test_what_the_driver_itself_refuses_is_sorted_too() -> None:
    assert isinstance(sorted_by_remedy(DataError("does not fit")), DataRefused)
    assert isinstance(sorted_by_remedy(ProgrammingError("wrong call")), StoreBroken)
    assert isinstance(sorted_by_remedy(ClickHouseError("odd")), StoreBroken)


def test_a_refusal_says_no_value_of_the_rows() -> None:
    assert "secret" not in str(sorted_by_remedy(DataError("cannot parse 'secret'", code=6)))


@pytest.mark.parametrize(
    ("dsn", "embedded"), [("chdb:///folder", True), ("http://h/d", False), ("https://chdb/d", False)]
)
def test_the_scheme_says_whether_the_engine_is_inside(dsn: str, embedded: bool) -> None:
    assert is_embedded(dsn) is embedded


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "1970-01-01 00:00:00.000"), (1773500966535, "2026-03-14 15:09:26.535"), (61, "1970-01-01 00:00:00.061")],
)
def test_times_are_spelt_as_the_engine_reads_them(ms: int, text: str) -> None:
    assert time_text(ms) == text


def test_look_ups_are_cut_by_project_and_into_pieces_that_a_statement_takes() -> None:
    shop = {(ProjectId("shop"), an_id(1, number)) for number in range(2 * IDS_PER_LOOK_UP + 1)}
    bank = {(ProjectId("bank"), an_id(1, number)) for number in range(2)}
    pieces = list(by_project([*shop, *bank, *bank]))
    assert [(project, len(ids)) for project, ids in pieces] == [
        ("bank", 2),
        ("shop", IDS_PER_LOOK_UP),
        ("shop", IDS_PER_LOOK_UP),
        ("shop", 1),
    ]
    assert {(project, id_) for project, ids in pieces for id_ in ids} == shop | bank


@dataclass(slots=True)
class AskedClient:
    """Has rows of plain ids only, and remembers what it was asked."""

    asked: list[tuple[str, int, int]] = field(default_factory=list)  # table, the first and the last id
    looked_up: list[int] = field(default_factory=list)

    def query(self, sql: str, parameters: dict[str, Any]) -> "Found":
        if "BETWEEN" not in sql:
            self.looked_up += parameters["ids"]
            return Found([(id_,) for id_ in parameters["ids"]])
        self.asked.append((parameters["project"], parameters["first"], parameters["last"]))
        return Found([] if is_keyed(from_int(parameters["first"])) else [(1,)])


@dataclass(frozen=True, slots=True)
class Found:
    result_rows: list[tuple[int]]


def test_plain_and_keyed_ids_are_asked_for_separately() -> None:
    client, shop = AskedClient(), ProjectId("shop")
    plain = [an_id(A_TIME, number) for number in range(IDS_PER_LOOK_UP + 1)]
    keyed = [keyed_id(f"order {number}", ID_SECRET) for number in range(3)]
    found = read_by_id(cast(Client, client), "request_patches", [], shop, [*keyed, *plain])
    assert client.asked == [
        (shop, to_int(min(plain)), to_int(max(plain))),
        (shop, to_int(min(keyed)), to_int(max(keyed))),
    ]
    assert client.looked_up == [id_ for (id_,) in found] == list(map(to_int, plain)), "no keyed one has a row"


async def test_asking_for_nothing_asks_nobody() -> None:
    pool = ClickHousePool("http://127.0.0.1:1/nowhere", threads=1)
    store = ClickHouseStore(pool)
    assert isinstance(store, RequestLogStore)
    assert [await store.key_entries([]), await store.patches([])] == [[], []]
    assert await store.rows([], with_bodies=True) == []
    await store.insert_rows([], "token")
    pool.close()
