"""What the front does with requests that clickhouse-connect never sends, and how it starts, ends and keeps data."""

import http.client
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import clickhouse_connect
import pytest

from tests.support.clickhouse_fixtures import running_front
from tests.support.clickhouse_front.errors import StatementError
from tests.support.clickhouse_front.statements import answer_format, inline_insert, refuse_several

pytestmark = pytest.mark.clickhouse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def connection(clickhouse_front_dsn: str) -> Iterator[http.client.HTTPConnection]:
    address = urlsplit(clickhouse_front_dsn)
    opened = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    yield opened
    opened.close()


def answered(
    connection: http.client.HTTPConnection, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection.request("POST" if body else "GET", target, body or None, dict(headers or {}))
    response = connection.getresponse()
    return response.status, response.read(), response.headers


def test_a_get_cannot_write(connection: http.client.HTTPConnection) -> None:
    status, _, headers = answered(connection, "/?query=" + quote("CREATE TABLE got (a UInt8) ENGINE = Memory"))
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "164")


def test_the_statement_may_be_in_the_url_and_its_values_in_the_body(connection: http.client.HTTPConnection) -> None:
    target = "/?query=" + quote("SELECT * FROM values('a UInt8', ")
    assert answered(connection, target, b"1, 2) FORMAT CSV")[:2] == (200, b"1\n2\n")


def test_an_answer_says_its_format_its_time_zone_and_what_it_read(connection: http.client.HTTPConnection) -> None:
    _, body, headers = answered(connection, "/?session_timezone=Asia/Tokyo&default_format=CSV", b"SELECT timezone()")
    assert body == b'"Asia/Tokyo"\n'
    assert (headers["X-ClickHouse-Format"], headers["X-ClickHouse-Timezone"]) == ("CSV", "Asia/Tokyo")
    assert '"read_rows": "1"' in headers["X-ClickHouse-Summary"]


def test_an_answer_is_compressed_only_when_the_setting_asks_for_it(connection: http.client.HTTPConnection) -> None:
    accepting = {"Accept-Encoding": "lz4,zstd,gzip"}
    assert "Content-Encoding" not in answered(connection, "/", b"SELECT 1", accepting)[2]
    assert answered(connection, "/?enable_http_compression=1", b"SELECT 1", accepting)[2]["Content-Encoding"] == "zstd"


@pytest.mark.parametrize(("coding", "code"), [("zstd", "561"), ("lz4", "607"), ("gzip", "354"), ("br", "48")])
def test_a_damaged_or_unknown_coding_is_refused(connection: http.client.HTTPConnection, coding: str, code: str) -> None:
    status, _, headers = answered(connection, "/", b"no such frame", {"Content-Encoding": coding})
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, code)


def test_an_external_table_is_refused(connection: http.client.HTTPConnection) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\n\r\n--b--\r\n'
    status, _, headers = answered(connection, "/", body, {"Content-Type": "multipart/form-data; boundary=b"})
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "48")


def test_a_url_that_is_not_utf8_is_refused(connection: http.client.HTTPConnection) -> None:
    assert answered(connection, "/?param_x=%ff", b"SELECT {x:String}")[0] == 400


@pytest.mark.parametrize(
    "cut_short",
    [
        b"Content-Length: 100\r\n\r\nINSERT INTO cut FORMAT TSV\n1\n",
        b"Transfer-Encoding: chunked\r\n\r\n1d\r\nINSERT INTO cut FORMAT TSV\n1\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nnot a size\r\n",
    ],
)
def test_of_a_body_cut_short_nothing_runs(connection: http.client.HTTPConnection, cut_short: bytes) -> None:
    answered(connection, "/", b"CREATE OR REPLACE TABLE cut (a UInt8) ENGINE = Memory")
    with socket.create_connection((connection.host, connection.port), 30) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: front\r\n" + cut_short)
        raw.shutdown(socket.SHUT_WR)
        assert raw.makefile("rb").readline().split()[1] == b"400"
    assert answered(connection, "/", b"SELECT count() FROM cut")[1] == b"0\n"


def test_data_outlives_a_restart_and_inserts_leave_no_file_behind(tmp_path: Path) -> None:
    for rows in (1, 2):
        with running_front(tmp_path) as dsn:
            client = clickhouse_connect.get_client(dsn=dsn)
            client.command("CREATE TABLE IF NOT EXISTS kept (a UInt8) ENGINE = MergeTree ORDER BY a")
            client.insert("kept", [[rows]], column_names=["a"])
            assert client.command("SELECT count() FROM kept") == rows
            client.close()
    incoming = tmp_path / "incoming"
    assert stat.S_IMODE(incoming.stat().st_mode) == 0o700
    assert list(incoming.iterdir()) == []


def ended(*options: str) -> subprocess.CompletedProcess[bytes]:
    """A front whose standard input closes at once."""
    command = [sys.executable, "-m", "tests.support.clickhouse_front", "--until-stdin-closes", *options]
    return subprocess.run(command, cwd=ROOT, input=b"", capture_output=True, timeout=60, check=False)


def test_it_tells_its_address_and_ends_with_its_parent(tmp_path: Path) -> None:
    front = ended("--port", "0", "--path", str(tmp_path))
    assert (front.returncode, front.stderr) == (0, b"")
    assert front.stdout.startswith(b"http://default:@127.0.0.1:")


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with running_front(tmp_path):
        second = ended("--port", "0", "--path", str(tmp_path))
    assert second.returncode == 1
    assert b"cannot serve" in second.stderr


def test_a_port_in_use_is_refused_before_the_folder_is_touched(clickhouse_front_dsn: str, tmp_path: Path) -> None:
    second = ended("--port", str(urlsplit(clickhouse_front_dsn).port), "--path", str(tmp_path / "other"))
    assert second.returncode == 1
    assert b"cannot serve" in second.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("sql", "into", "settings", "format_name", "data"),
    [
        (b"INSERT INTO t (a) FORMAT Native\n\x01 FORMAT", b"INSERT INTO t (a) ", b"", "Native", b"\x01 FORMAT"),
        (b"insert into t format TSV \r\n\n1", b"insert into t ", b"", "TSV", b"\n1"),
        (b"INSERT INTO t SETTINGS a='FORMAT' FORMAT CSV 1", b"INSERT INTO t ", b"SETTINGS a='FORMAT' ", "CSV", b"1"),
        (
            b"/* c */ INSERT INTO `a FORMAT b` (format) FORMAT X",
            b"/* c */ INSERT INTO `a FORMAT b` (format) ",
            b"",
            "X",
            b"",
        ),
    ],
)
def test_the_rows_of_an_insert_begin_behind_its_format(
    sql: bytes, into: bytes, settings: bytes, format_name: str, data: bytes
) -> None:
    found = inline_insert(sql)
    assert found is not None
    assert (found.into, found.settings, found.format_name, bytes(found.data)) == (into, settings, format_name, data)


@pytest.mark.parametrize(
    "sql",
    [b"", b"SELECT 1 FORMAT CSV", b"INSERT INTO t VALUES (1)", b"INSERT INTO t SELECT 1 FORMAT CSV", b"INSERT INTO t"],
)
def test_other_statements_carry_no_rows_of_their_own(sql: bytes) -> None:
    assert inline_insert(sql) is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1", "TSV"),
        (b"(SELECT 1) FORMAT JSON;", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON"),
        (b"SELECT format FROM t", "TSV"),
        (b"SELECT 'x FORMAT CSV' -- FORMAT CSV", "TSV"),
        (b"WITH (SELECT 1 FORMAT CSV) AS x SELECT x", "TSV"),
        (b"CREATE TABLE t AS SELECT 1", None),
        (b"", None),
    ],
)
def test_the_answers_format_is_the_statements_own_or_the_default(sql: bytes, expected: str | None) -> None:
    assert answer_format(sql, "TSV") == expected


def test_only_a_second_statement_is_refused_and_not_a_semicolon() -> None:
    refuse_several(b"SELECT ';' /* ; */ ; -- end; ")
    with pytest.raises(StatementError, match="Multi-statements"):
        refuse_several(b"SELECT 1;\nDROP TABLE t")
