"""Which ClickHouse the tests get: the choice is plain values, so it is tested where there is no Docker."""

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import pytest

from tests.support.clickhouse_fixtures import (
    ADDRESS_VARIABLE,
    Address,
    Container,
    Front,
    NotToBeHadError,
    chosen,
    fresh_database,
    go_without,
)
from tests.support.docker_daemon import docker_answers


@pytest.mark.parametrize("docker", [True, False])
def test_an_address_that_was_given_is_used(docker: bool) -> None:
    assert chosen({ADDRESS_VARIABLE: "https://u:p@db:8443/x"}, docker=docker) == Address("https://u:p@db:8443/x")


def test_a_container_is_preferred_to_the_front_unless_the_front_is_asked_for() -> None:
    assert chosen({}, docker=True) == Container()
    assert chosen({ADDRESS_VARIABLE: "front"}, docker=True) == Front()


def test_without_docker_the_front_is_used() -> None:
    assert chosen({}, docker=False) == Front()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=ADDRESS_VARIABLE):
        chosen({ADDRESS_VARIABLE: "db:8123"}, docker=False)


def test_the_container_is_a_current_server_with_an_account_of_its_own() -> None:
    plan = Container()
    assert (plan.image, plan.http_port) == ("clickhouse/clickhouse-server:26.9", 8123)
    assert plan.environment == {"CLICKHOUSE_USER": "ledger", "CLICKHOUSE_PASSWORD": "ledger"}
    assert plan.dsn("127.0.0.1", 32768) == "http://ledger:ledger@127.0.0.1:32768/default"


@pytest.mark.parametrize(("environ", "outcome"), [({}, pytest.skip.Exception), ({"CI": "true"}, pytest.fail.Exception)])
def test_without_any_a_test_skips_but_fails_under_ci(environ: dict[str, str], outcome: type[BaseException]) -> None:
    with pytest.raises(outcome, match="no engine here"):
        go_without(NotToBeHadError("no engine here"), environ)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[str]:
    """A Docker daemon that knows its ping and nothing else."""

    class Ping(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            known = self.rfile.readline().startswith(b"GET /_ping ")
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nOK" if known else b"HTTP/1.0 404 Not Found\r\n\r\n")

    with socketserver.UnixStreamServer(str(tmp_path / "docker.sock"), Ping) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"unix://{tmp_path}/docker.sock"
        server.shutdown()
        thread.join()


def test_a_daemon_that_answers_its_ping_counts(daemon: str) -> None:
    assert docker_answers(daemon)


def test_a_daemon_that_does_not_answer_does_not_count(tmp_path: Path) -> None:
    assert not docker_answers(f"unix://{tmp_path}/nobody.sock")
    assert not docker_answers("tcp://127.0.0.1:1")


@pytest.mark.clickhouse
def test_each_test_gets_an_empty_database_of_its_own(clickhouse_dsn: str, clickhouse_database: str) -> None:
    with fresh_database(clickhouse_dsn) as other:
        client = clickhouse_connect.get_client(dsn=other, autogenerate_session_id=False)
        names = [urlsplit(dsn).path[1:] for dsn in (clickhouse_database, other)]
        assert client.command("SELECT currentDatabase()") == names[1] != names[0]
        assert client.command("SELECT count() FROM system.tables WHERE database = currentDatabase()") == 0
        left = "SELECT count() FROM system.databases WHERE name IN {names:Array(String)}"
        assert client.command(left, parameters={"names": names}) == 2
        client.close()
    client = clickhouse_connect.get_client(dsn=clickhouse_dsn, autogenerate_session_id=False)
    assert client.command(left, parameters={"names": names}) == 1
    client.close()
