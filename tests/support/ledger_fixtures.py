"""The `ledger` fixture: a started LLM Ledger, once as one process and once as a cluster.

It runs for all tests of the session that ask for it. A test that counts, or that stores much, asks for a `spare`
project instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.key_file import edit
from ledger.keys import KeyFileContent, Scope, with_new_key
from tests.support.access import Access
from tests.support.clickhouse_fixtures import fresh_database
from tests.support.cluster_processes import Backends, new_key, running_cluster
from tests.support.kafka_broker import BrokerProcess
from tests.support.standalone_process import Standalone, start_standalone

PROJECT = "proj_test"
"""The project that recorded requests name."""

SPARE_PROJECTS = 50


@dataclass(frozen=True, slots=True)
class StartedLedger:
    """A product that runs: its main project, and projects that nobody has used."""

    access: Access
    spares: Iterator[Access]


@pytest.fixture(
    scope="session",
    params=["standalone", pytest.param("cluster", marks=[pytest.mark.kafka, pytest.mark.clickhouse])],
)
def started_ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedLedger]:
    """The product, started in each of its ways, one after the other."""
    home = tmp_path_factory.mktemp(request.param)
    if request.param == "standalone":
        with _standalone(home) as started:
            yield started
        return
    broker: BrokerProcess = request.getfixturevalue("kafka_broker")
    clickhouse: str = request.getfixturevalue("clickhouse_dsn")
    with fresh_database(clickhouse) as dsn, _cluster(Backends(broker.bootstrap_servers, dsn), home) as started:
        yield started


@pytest.fixture(scope="session")
def ledger(started_ledger: StartedLedger) -> Access:
    """A started LLM Ledger and a key of its main project."""
    return started_ledger.access


@pytest.fixture
def spare(started_ledger: StartedLedger) -> Access:
    """A project of the same LLM Ledger that no other test has used or will use."""
    return next(started_ledger.spares)


@pytest.fixture
def other_spare(started_ledger: StartedLedger) -> Access:
    """One more such project."""
    return next(started_ledger.spares)


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A standalone product that has just been started for the first time, for the tests of one module."""
    running = start_standalone(tmp_path_factory.mktemp("first-start"))
    try:
        yield running
        running.stop()
    finally:
        running.kill()


@contextmanager
def _standalone(home: Path) -> Iterator[StartedLedger]:
    key_file = home / "data" / "keys.json"
    key = new_key(key_file, PROJECT, home)
    spares = _spare_keys(key_file)
    running = start_standalone(home)
    try:
        yield _started(running.access(key, PROJECT), spares)
        running.stop()
    finally:
        running.kill()


@contextmanager
def _cluster(backends: Backends, home: Path) -> Iterator[StartedLedger]:
    spares = _spare_keys(home / "keys.json")
    with running_cluster(backends, home, PROJECT) as cluster:
        yield _started(cluster.access, spares)


def _spare_keys(key_file: Path) -> dict[str, str]:
    """Keys by project, made in one go before anything runs, so that no test waits until a key is in force."""
    keys: dict[str, str] = {}

    def add(content: KeyFileContent) -> KeyFileContent:
        for number in range(SPARE_PROJECTS):
            project = f"spare-{number}"
            made = with_new_key(content, project, list(Scope), datetime.now(UTC).isoformat())
            content, keys[project] = made.content, made.key
        return content

    edit(key_file, add)
    return keys


def _started(access: Access, spares: dict[str, str]) -> StartedLedger:
    return StartedLedger(access, iter([Access(access.url, key, project) for project, key in spares.items()]))
