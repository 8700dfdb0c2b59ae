"""The services of the cluster as their operator starts them, over the bench's broker and ClickHouse over HTTP."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bodies import PROJECT
from tests.support.child_process import Child, start_command, succeeded
from tests.support.clickhouse_fixtures import (
    Address,
    Container,
    chosen,
    fresh_database,
    running_container,
    running_front,
)
from tests.support.cluster_processes import Backends, await_ready, cluster_settings, new_key
from tests.support.docker_daemon import docker_answers
from tests.support.kafka_settings import free_port


@dataclass(frozen=True, slots=True)
class Site:
    """Topics, schema and a key are there; no service runs yet."""

    home: Path
    settings: Mapping[str, str]
    key: str

    @property
    def topic(self) -> str:
        """Where reports go."""
        return self.settings["LLMLEDGER_KAFKA__TOPIC"]

    @property
    def partitions(self) -> int:
        """That the topic has."""
        return int(self.settings["LLMLEDGER_KAFKA__PARTITIONS"])

    @contextmanager
    def running(self, *services: str) -> Iterator[list["Running"]]:
        """These services, all ready. They must end in good order, unless something went wrong before."""
        with ExitStack() as stack:
            started = [self._start(service, stack) for service in services]
            for one in started:
                await_ready(one.child, one.port)
            yield started
            codes = {one.service: one.child.interrupt() for one in started}
            if set(codes.values()) != {0}:
                raise ChildProcessError(f"{codes}\n" + "\n".join(one.child.messages() for one in started))

    def _start(self, service: str, stack: ExitStack) -> "Running":
        port = free_port()
        child = start_command([service, "--port", str(port)], self.home, self.settings, log=f"{service}.log")
        stack.callback(child.kill)
        return Running(service, port, child)


@dataclass(frozen=True, slots=True)
class Running:
    """A service that is ready."""

    service: str
    port: int
    child: Child

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.child.process.pid


@contextmanager
def prepared_site(home: Path, kafka_servers: str) -> Iterator[Site]:
    """New topics and an empty database, and a key that may write and read."""
    (home / "blobs").mkdir(parents=True)
    with _clickhouse(home / "clickhouse") as dsn:
        settings = cluster_settings(Backends(kafka_servers, dsn), home)
        succeeded(["topics", "ensure", "--wait", "30"], home, settings)
        succeeded(["migrate", "--wait", "30"], home, settings)
        yield Site(home, settings, new_key(home / "keys.json", PROJECT, home))


@contextmanager
def _clickhouse(folder: Path) -> Iterator[str]:
    """A server that was given, or in a container, or ClickHouse's interface over the embedded engine."""
    choice = chosen(os.environ, docker=docker_answers())
    if isinstance(choice, Address):
        with fresh_database(choice.dsn) as dsn:
            yield dsn
    elif isinstance(choice, Container):
        with running_container(choice) as dsn:
            yield dsn
    else:
        with running_front(folder) as dsn:
            yield dsn
