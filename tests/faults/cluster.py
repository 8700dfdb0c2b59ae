"""The cluster as a target: real Kafka, ClickHouse's interface over chDB, and the services, each a process of its own.

The workers reach ClickHouse through a link that can go wrong; `query-api` reaches it directly, so that what readers
see does not depend on what the workers suffer. Every part keeps its port and its data over restarts.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx

from deploy.routes import Service
from ledger.key_file import edit
from ledger.keys import ALL_PROJECTS, KeyFileContent, Scope, with_new_key
from tests.faults.broker import OwnBroker
from tests.faults.front_door import FrontDoor
from tests.faults.parts import ROOT, Part, bare_environment
from tests.faults.proxy import Link, running_link
from tests.faults.scenario import PROJECTS
from tests.faults.standalone import peak_mib
from tests.support.kafka_settings import free_port

PARTITIONS = 8
SESSION_SECONDS = 3
"""For so long a killed worker keeps its partitions. With the 45 of production a hundred kills would take hours."""

PRODUCT = (sys.executable, "-c", "from deploy.cli import main; main()")
"""The product's command, of the tree that these tests are in, wherever another one is installed."""

_ASK_SECONDS = 2.0
_APIS = ("ingest-api", "query-api")


class Cluster:
    """A `Target`. Make it in a `with` statement, or call `close`.

    `commands`: what starts a service in the place of the product's command, by the service's name.
    """

    def __init__(self, folder: Path, *, workers: int = 1, commands: Mapping[str, Sequence[str]] | None = None) -> None:
        self._folder = folder
        self._commands = commands or {}
        (folder / "blobs").mkdir(parents=True)
        self._open = ExitStack()
        self._broker = OwnBroker()
        self._open.callback(self._broker.remove)
        store_port = free_port()
        self.store_link: Link = self._open.enter_context(running_link(store_port))
        self._topic = f"faults-{uuid4().hex[:12]}"
        self._keys: dict[str, str] = {}
        self.workers: tuple[str, ...] = tuple("workers" if n == 1 else f"workers-{n}" for n in range(1, workers + 1))
        self.parts = {part.name: part for part in self._made(store_port)}
        ports = {service: int(self.parts[service.value].command[-1]) for service in Service}
        self._door = FrontDoor({service: f"http://127.0.0.1:{port}" for service, port in ports.items()})
        self._open.callback(self._door.close)
        self._door.start()

    @property
    def url(self) -> str:
        """Ingest and query behind one address, over all restarts."""
        return self._door.url

    @property
    def topic(self) -> str:
        """Where accepted reports are."""
        return self._topic

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""
        return self._broker.bootstrap_servers

    @property
    def keys_file(self) -> Path:
        """The key file of all services."""
        return self._folder / "keys.json"

    def key(self, project: str) -> str:
        """A key of this project with the scopes ingest and query."""
        return self._keys[project]

    def admin_key(self) -> str:
        """A key of all projects with the scope admin."""
        return self._keys[ALL_PROJECTS]

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        self.start_stores("kafka", "clickhouse")
        self.prepare()
        self.start_services()
        self.await_services()

    def start_stores(self, *names: str) -> None:
        """Start these of kafka and clickhouse and wait until they answer."""
        for name in names:
            self.parts[name].start()
        for name in names:
            self.parts[name].await_ready()

    def prepare(self) -> None:
        """Keys, topics and schema."""
        self.make_keys()
        self.operate("topics", "ensure", "--wait", "60")
        self.operate("migrate", "--wait", "60")

    def operate(self, *command: str) -> None:
        """Run a command of the product as an operator does. Raises when it fails."""
        environment = bare_environment(self._folder, self._settings(self.parts["clickhouse"].command[-1]))
        done = subprocess.run(
            [*PRODUCT, *command], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"[-2000:])

    def make_keys(self) -> None:
        """The key file: one key a project, and one of all projects for the dead letters."""
        scopes = {project: [Scope.INGEST, Scope.QUERY] for project in PROJECTS} | {ALL_PROJECTS: [Scope.ADMIN]}
        for project, granted in scopes.items():
            self._keys[project] = self._new_key(project, granted)

    def start_services(self) -> None:
        """Start the services and do not wait."""
        for name in (*_APIS, *self.workers):
            self.parts[name].start()

    def await_services(self) -> None:
        """Return once each service says that it is ready."""
        for name in (*_APIS, *self.workers):
            self.parts[name].await_ready()

    def stop(self) -> None:
        """End the services in good order, then what they stand on. Raises when a service does not end so."""
        codes = {name: self.parts[name].terminate() for name in (*_APIS, *self.workers)}
        if set(codes.values()) != {0}:
            raise AssertionError(f"services did not end in good order: {codes}")

    def close(self) -> None:
        """End everything at once."""
        for part in self.parts.values():
            part.kill()
        self._open.close()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self, part: str) -> None:
        """SIGKILL; returns when it has ended."""
        self.parts[part].kill()

    def signal(self, part: str, number: int) -> None:
        """Send it this signal and return at once."""
        self.parts[part].signal(number)

    def restart(self, part: str, failpoints: str = "") -> None:
        """Start an ended part and wait until it is ready; one with failpoints may also end."""
        self.parts[part].start({"LLMLEDGER_FAILPOINTS": failpoints} if failpoints else None)
        if failpoints:
            self.parts[part].await_ready_or_end()
        else:
            self.parts[part].await_ready()

    def wait_ended(self, part: str, seconds: float) -> int:
        """Its exit code."""
        return self.parts[part].wait_ended(seconds)

    def revive(self) -> list[str]:
        """Start the services that have ended by themselves, as an orchestrator does; their names and exit codes."""
        gone = [part for name in (*_APIS, *self.workers) if not (part := self.parts[name]).runs]
        said = [f"{part.name} (exit {part.process.returncode})" for part in gone if part.process is not None]
        for part in gone:
            part.start()
        return said

    def dead_letters(self) -> int:
        """How many dead letters the store has; counted without the product."""
        return self._counted("count() FROM dead_letters")

    def accepted(self) -> int:
        """How many records the bus has."""
        return self._broker.records_in(self._topic)

    def assignments(self) -> int:
        """How often a worker was given partitions, over all their lives."""
        return sum(
            self.parts[name].log.read_text(errors="replace").count("Partitions assigned.") for name in self.workers
        )

    def settled(self) -> int:
        """How far the workers have come, as the store knows it: a number that grows with every batch."""
        return self._counted("sum(reached) FROM (SELECT max(offset) AS reached FROM bus_progress GROUP BY partition)")

    def stored_again(self) -> int:
        """Rows that storage has beyond one per id at this moment; reading never shows them."""
        return self._counted("(SELECT count() FROM request_logs) - (SELECT count() FROM request_logs FINAL)")

    def memory_mib(self) -> Mapping[str, float]:
        """The most that each of the running services has had in use, in MiB."""
        names = (*_APIS, *self.workers)
        return peak_mib({name: self.parts[name].pid for name in names if self.parts[name].runs})

    def _counted(self, expression: str) -> int:
        url = f"http://127.0.0.1:{self.parts['clickhouse'].command[-1]}/"
        answer = httpx.get(url, params={"query": f"SELECT {expression}"}, verify=False, trust_env=False)
        return int(answer.raise_for_status().text)

    def _new_key(self, project: str, scopes: list[Scope]) -> str:
        made: list[str] = []

        def add(content: KeyFileContent) -> KeyFileContent:
            new = with_new_key(content, project, scopes, datetime.now(UTC).isoformat(timespec="seconds"))
            made.append(new.key)
            return new.content

        edit(self.keys_file, add)
        return made[0]

    def _made(self, store_port: int) -> list[Part]:
        front = [sys.executable, "-m", "tests.support.clickhouse_front", "--path", str(self._folder / "clickhouse")]
        return [
            self._part("kafka", self._broker.command(), 0),
            self._part("clickhouse", [*front, "--port", str(store_port)], store_port, "/ping"),
            *(self._service(name, name, store_port) for name in _APIS),
            *(self._service("workers", name, self.store_link.port) for name in self.workers),
        ]

    def _service(self, service: str, name: str, store_port: int) -> Part:
        command, port = self._commands.get(service, (*PRODUCT, service)), free_port()
        return self._part(name, [*command, "--port", str(port)], port, "/health/ready", self._settings(str(store_port)))

    def _part(
        self, name: str, command: Sequence[str], port: int, page: str = "", settings: dict[str, str] | None = None
    ) -> Part:
        ready = self._broker.answers if not page else lambda: _is_well(f"http://127.0.0.1:{port}{page}")
        environment = bare_environment(self._folder, settings or {})
        return Part(name, command, environment, self._folder / f"{name}.log", ready)

    def _settings(self, store_port: str) -> dict[str, str]:
        return {
            "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": self._broker.bootstrap_servers,
            "LLMLEDGER_KAFKA__TOPIC": self._topic,
            "LLMLEDGER_KAFKA__GROUP": f"{self._topic}-workers",
            "LLMLEDGER_KAFKA__PARTITIONS": str(PARTITIONS),
            "LLMLEDGER_KAFKA__SESSION_SECONDS": str(SESSION_SECONDS),
            "LLMLEDGER_STORE__DSN": f"http://default:@127.0.0.1:{store_port}/default",
            "LLMLEDGER_BLOBS__URL": (self._folder / "blobs").as_uri(),
            "LLMLEDGER_KEYS__FILE": str(self.keys_file),
        }


def _is_well(url: str) -> bool:
    try:
        return httpx.get(url, timeout=_ASK_SECONDS, verify=False, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
