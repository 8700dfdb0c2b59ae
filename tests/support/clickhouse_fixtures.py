"""ClickHouse over HTTP for tests: an address that was given, else a container, else the front over chDB.

`LLMLEDGER_TEST_CLICKHOUSE` holds an http(s) DSN, or `front` to have the front also where Docker is. Where none of the
three can be had a test skips; under CI it fails.
"""

import http.client
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import clickhouse_connect
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

from tests.support.docker_daemon import docker_answers

ADDRESS_VARIABLE = "LLMLEDGER_TEST_CLICKHOUSE"
_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """A server that somebody else runs."""

    dsn: str


@dataclass(frozen=True, slots=True)
class Container:
    """A real server in Docker. With neither user nor password given, the image allows no access over the network."""

    image: str = "clickhouse/clickhouse-server:26.9"
    http_port: int = 8123
    environment: Mapping[str, str] = field(
        default_factory=lambda: {"CLICKHOUSE_USER": "ledger", "CLICKHOUSE_PASSWORD": "ledger"}
    )

    def dsn(self, host: str, port: int) -> str:
        """Where a client finds the server once Docker has mapped its port."""
        user, password = self.environment["CLICKHOUSE_USER"], self.environment["CLICKHOUSE_PASSWORD"]
        return f"http://{user}:{password}@{host}:{port}/default"


@dataclass(frozen=True, slots=True)
class Front:
    """ClickHouse's interface over chDB, as a process beside the tests."""


class NotToBeHadError(Exception):
    """No ClickHouse could be started here."""


def chosen(environ: Mapping[str, str], *, docker: bool) -> Address | Container | Front:
    """Which ClickHouse the tests use."""
    asked = environ.get(ADDRESS_VARIABLE, "")
    if asked.startswith(("http://", "https://")):
        return Address(asked)
    if asked not in ("", "front"):
        raise ValueError(f"{ADDRESS_VARIABLE} is neither an http DSN nor 'front': {asked!r}")
    return Container() if docker and not asked else Front()


def go_without(reason: NotToBeHadError, environ: Mapping[str, str]) -> NoReturn:
    """Skip the test that asked for ClickHouse, or fail it under CI, where a skipped test would go unseen."""
    if environ.get("CI") == "true":
        pytest.fail(f"CI needs ClickHouse over HTTP: {reason}")
    pytest.skip(f"no ClickHouse over HTTP: {reason}")


@contextmanager
def running_container(plan: Container) -> Iterator[str]:
    """The DSN of a server in a container of our own."""
    container = DockerContainer(plan.image).with_envs(**plan.environment).with_exposed_ports(plan.http_port)
    with container.waiting_for(HttpWaitStrategy(plan.http_port, "/ping")) as running:
        yield plan.dsn(running.get_container_host_ip(), running.get_exposed_port(plan.http_port))


@contextmanager
def running_front(folder: Path) -> Iterator[str]:
    """The DSN of a front that keeps its data in `folder`. It also ends when this process dies."""
    command = [sys.executable, "-m", "tests.support.clickhouse_front", "--port", "0", "--path", str(folder)]
    with subprocess.Popen(
        [*command, "--until-stdin-closes"], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            dsn = _first_line(process)
            _ping(dsn)
            yield dsn
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)
    if process.returncode:
        raise RuntimeError(f"the front did not end cleanly: {process.returncode}")


@contextmanager
def fresh_database(dsn: str) -> Iterator[str]:
    """A DSN that names a new, empty database on the same server. The database is dropped afterwards."""
    name = f"test_{uuid4().hex}"
    client = clickhouse_connect.get_client(dsn=dsn, autogenerate_session_id=False)
    try:
        client.command(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
        finally:
            client.command(f"DROP DATABASE {name}")
    finally:
        client.close()


@pytest.fixture(scope="session")
def clickhouse_front_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of the front, whatever else there is."""
    try:
        with running_front(tmp_path_factory.mktemp("clickhouse")) as dsn:
            yield dsn
    except NotToBeHadError as error:
        go_without(error, os.environ)


@pytest.fixture(scope="session")
def clickhouse_dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """The DSN of ClickHouse over HTTP, once for the whole run; use `clickhouse_database` for a place of your own."""
    choice = chosen(os.environ, docker=docker_answers())
    if isinstance(choice, Address):
        yield choice.dsn
    elif isinstance(choice, Container):
        with running_container(choice) as dsn:
            yield dsn
    else:
        yield request.getfixturevalue("clickhouse_front_dsn")


@pytest.fixture
def clickhouse_database(clickhouse_dsn: str) -> Iterator[str]:
    """The DSN of a new, empty database for one test."""
    with fresh_database(clickhouse_dsn) as dsn:
        yield dsn


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_START_SECONDS) else b""
    if not line:
        raise NotToBeHadError(f"the front told no address within {_START_SECONDS:.0f} s; its exit: {process.poll()}")
    return line.decode().strip()


def _ping(dsn: str) -> None:
    address = urlsplit(dsn)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_START_SECONDS)
    try:
        connection.request("GET", "/ping")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise NotToBeHadError(f"the front answered its ping with {answer.status}")
    except OSError as error:
        raise NotToBeHadError(f"the front does not answer its ping: {error}") from error
    finally:
        connection.close()
