"""The front speaks ClickHouse's HTTP interface well enough that clickhouse-connect cannot tell it from a server."""

import gzip
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.summary import QuerySummary

from tests.support.clickhouse_fixtures import fresh_database

pytestmark = pytest.mark.clickhouse

AWKWARD_TEXT = "it's \\ \\N \t \n \r \0 `\"% ?&+#; -- /* {x:String} é € 😀 \u2028 \ufeff"


@pytest.fixture
def database(clickhouse_front_dsn: str) -> Iterator[str]:
    with fresh_database(clickhouse_front_dsn) as dsn:
        yield dsn


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    connected = clickhouse_connect.get_client(dsn=database, autogenerate_session_id=False, tz_mode="aware")
    yield connected
    connected.close()


def code_of(client: Client, sql: str, **settings: object) -> int | None:
    with pytest.raises(DatabaseError) as caught:
        client.query(sql, settings=settings)
    return caught.value.code


def count(client: Client, table: str) -> object:
    return client.command(f"SELECT count() FROM {table}")


def test_it_answers_a_ping(client: Client) -> None:
    assert client.ping()


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("String", AWKWARD_TEXT),
        ("Nullable(String)", None),
        ("Array(String)", ["a'b", "c\\d", "", "e\tf"]),
        ("Array(UInt64)", [1, 2**64 - 1]),
        ("UInt128", 2**128 - 1),
        ("DateTime64(6, 'UTC')", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
    ],
)
def test_a_bound_parameter_arrives_as_it_was_given(client: Client, type_name: str, value: object) -> None:
    name = "value_64" if isinstance(value, datetime) else "value"
    assert client.query(f"SELECT {{value:{type_name}}}", parameters={name: value}).result_rows == [(value,)]


def test_parameters_too_long_for_a_url_arrive_as_a_form(client: Client) -> None:
    long = AWKWARD_TEXT * 2_000
    assert client.query("SELECT {long:String}", parameters={"long": long}).result_rows == [(long,)]


def test_a_setting_holds_for_its_statement_only(client: Client) -> None:
    ask = "SELECT getSetting('max_block_size')"
    usual = client.query(ask).result_rows
    assert client.query(ask, settings={"max_block_size": 777}).result_rows == [(777,)]
    assert client.query(ask).result_rows == usual != [(777,)]


def test_a_statement_over_its_time_is_stopped(client: Client) -> None:
    assert code_of(client, "SELECT sum(number) FROM numbers(1000000000000)", max_execution_time=0.2) == 159


def test_a_statement_marked_readonly_cannot_write_and_the_next_one_can(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DatabaseError) as caught:
        client.command("INSERT INTO t VALUES (1)", settings={"readonly": 1, "max_threads": 1})
    assert caught.value.code == 164
    client.command("INSERT INTO t VALUES (2)")
    assert client.query("SELECT a FROM t").result_rows == [(2,)]


def test_a_setting_that_does_not_exist_is_refused(client: Client) -> None:
    assert code_of(client, "SELECT 1", max_trheads=1) == 115


def test_a_retried_insert_with_the_same_token_is_dropped(client: Client) -> None:
    client.command(
        "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("first", "first", "second"):
        settings = {"insert_deduplication_token": token, "deduplicate_insert": "enable", "async_insert": 0}
        client.insert("t", [[1]], column_names=["a"], settings=settings)
    assert count(client, "t") == 2


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_native_rows_come_back_as_they_were_inserted(database: str, compress: str | bool) -> None:
    client = clickhouse_connect.get_client(dsn=database, compress=compress, tz_mode="aware")
    client.command(
        "CREATE TABLE t (n UInt32, id UInt128, note Nullable(String), model LowCardinality(String),"
        " tags Array(String), labels Map(String, String), at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY n"
    )
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    rows = [
        (1, 2**127 + 1, None, "m", ["a", AWKWARD_TEXT], {"k": AWKWARD_TEXT}, at),
        (2, 0, "", "m", [], {}, at),
        (3, 7, "x" * 3_000_000, "other", ["b"] * 1_000, {"a": "1", "b": "2"}, at),
    ]
    summary = client.insert("t", rows, column_names="*")
    assert summary.written_rows == 3
    assert client.query("SELECT * FROM t ORDER BY n").result_rows == rows
    client.close()


def test_an_insert_of_many_blocks_is_one_part(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    client.insert("t", [[n, "x" * 2_000] for n in range(5_000)], column_names=["a", "b"])
    parts = client.command(
        "SELECT count() FROM system.parts WHERE active AND table = 't' AND database = currentDatabase()"
    )
    assert (count(client, "t"), parts) == (5_000, 1)


def test_raw_rows_are_inserted_from_text_from_compressed_bytes_and_from_a_stream(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt8, format String) ENGINE = MergeTree ORDER BY a")
    client.raw_insert("t", ["a", "format"], '{"a": 1, "format": "text"}\n', fmt="JSONEachRow")
    client.raw_insert("t", ["a", "format"], gzip.compress(b"2,gzip\n"), fmt="CSV", compression="gzip")
    client.raw_insert("t", ["a", "format"], (part for part in (b"3\tstr", b"eam\n")), fmt="TabSeparated")
    assert client.raw_query("SELECT * FROM t ORDER BY a", fmt="CSV") == b'1,"text"\n2,"gzip"\n3,"stream"\n'


def test_rows_that_do_not_parse_are_an_error_with_a_code_and_nothing_is_stored(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert("t", ["a"], b"1\ntwo\n", fmt="TabSeparated")
    assert caught.value.code == 27
    assert count(client, "t") == 0


@pytest.mark.parametrize(
    ("sql", "code", "name"),
    [
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SELECT toUInt8('x')", 6, "CANNOT_PARSE_TEXT"),
        ("SELECT * FROM nowhere.t", 81, "UNKNOWN_DATABASE"),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ],
)
def test_an_error_has_the_engines_code_and_name(client: Client, sql: str, code: int, name: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(sql)
    assert (caught.value.code, caught.value.name) == (code, name)


def test_a_database_that_does_not_exist_is_refused(clickhouse_front_dsn: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        clickhouse_connect.get_client(dsn=clickhouse_front_dsn.replace("/default", "/nowhere"))
    assert caught.value.code == 81


def test_a_command_tells_no_rows_from_no_result(client: Client) -> None:
    assert client.command("SELECT 1 WHERE 0") == ""
    assert isinstance(client.command("CREATE TABLE t (a UInt8) ENGINE = Memory"), QuerySummary)


def test_the_query_id_that_the_client_gave_comes_back(client: Client) -> None:
    assert client.query("SELECT 1", settings={"query_id": "mine"}).query_id == "mine"


def test_a_result_can_be_read_block_by_block(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(200000)") as blocks:
        assert sum(len(block) for block in blocks) == 200_000


def test_eight_clients_write_and_read_at_once(client: Client, database: str) -> None:
    client.command("CREATE TABLE t (writer UInt8, n UInt32) ENGINE = MergeTree ORDER BY (writer, n)")

    def work(writer: int) -> list[Sequence[int]]:
        own = clickhouse_connect.get_client(dsn=database, autogenerate_session_id=False)
        for start in range(0, 50, 10):
            own.insert("t", [[writer, n] for n in range(start, start + 10)], column_names=["writer", "n"])
        rows = own.query("SELECT n FROM t WHERE writer = {w:UInt8} ORDER BY n", parameters={"w": writer}).result_rows
        own.close()
        return list(rows)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(work, range(8)))
    assert results == [[(n,) for n in range(50)]] * 8


def test_a_value_of_32_mb_comes_back_whole(client: Client) -> None:
    client.command("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY tuple()")
    value = AWKWARD_TEXT * (32_000_000 // len(AWKWARD_TEXT))
    client.insert("t", [[value]], column_names=["a"])
    assert client.query("SELECT a FROM t").result_rows == [(value,)]


def test_every_byte_survives_in_a_string(client: Client) -> None:
    client.command("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY tuple()")
    every_byte = bytes(range(256)) * 2
    client.insert("t", [[every_byte]], column_names=["a"])
    assert client.query("SELECT a FROM t", column_formats={"a": "bytes"}).result_rows == [(every_byte,)]
    assert client.command("SELECT hex(a) FROM t") == every_byte.hex().upper()
