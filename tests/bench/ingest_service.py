"""The ingest service in a process of its own, loaded in rounds, and held to account for what it has accepted."""

import http.client
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

from tests.bench.bodies import PROJECT, report_body
from tests.bench.ingest_server import CONSTANT_PATH, CPU_PATH, ORDINARY_PATH, REPORT_PATH
from tests.bench.load import Endpoint, steady_load
from tests.bench.plan import CONNECTIONS, Plan

JSON = "application/json"
_WARM_UP_SECONDS = 1.0
_BATCH_SECONDS = 2.0  # a large batch takes its time: some of them have to be answered
_READY_SECONDS = 60.0


class WrongCount(Exception):
    """The bus holds fewer or more records than were accepted."""


@dataclass(frozen=True, slots=True)
class KafkaTopic:
    """The topic of one service."""

    servers: str
    name: str

    def records(self) -> int:
        """How many it holds."""
        settings = {"bootstrap.servers": self.servers, "group.id": f"{self.name}-counting"}
        with closing(Consumer(settings)) as consumer:
            places = consumer.list_topics(self.name, timeout=10).topics[self.name].partitions
            ends = [consumer.get_watermark_offsets(TopicPartition(self.name, place)) for place in places]
        return sum(high - low for low, high in ends)


@dataclass(frozen=True, slots=True)
class LogFile:
    """The SQLite log of one service."""

    path: Path

    def records(self) -> int:
        """How many it holds."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])

    def copy_up_to(self, records: int) -> None:
        """Double what it holds, as often as it takes. Nobody else may have it open."""
        with closing(sqlite3.connect(self.path)) as connection:
            while (missing := records - self.records()) > 0:
                copies = "SELECT key, envelope, body FROM records LIMIT ?"
                connection.execute(f"INSERT INTO records (key, envelope, body) {copies}", (missing,))
                connection.commit()


@dataclass(slots=True)
class Service:
    """A running service: how to ask it, and what it has told to have accepted."""

    url: str
    key: str
    bus: KafkaTopic | LogFile
    held_before: int = 0
    accepted: int = 0
    under_way: int = 0  # at the ends of loads: accepted perhaps, but nobody heard it

    def endpoint(self, path: str, body: bytes, content_type: str) -> Endpoint:
        """What the load asks: the key in every family's header, as only one of them is looked at."""
        return Endpoint(f"{self.url}{path}", "POST", tuple(self._headers(content_type).items()), body)

    def cpu_seconds(self) -> float:
        """That the process has used so far."""
        return float(json.loads(self.ask("GET", CPU_PATH, b"")[1])["seconds"])

    def ask(self, method: str, path: str, body: bytes, content_type: str = JSON) -> tuple[int, bytes]:
        """Status and body of the answer, over a connection of its own."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            connection.request(method, path, body, self._headers(content_type))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def check_bus(self) -> None:
        """Nothing that was accepted is missing, and nothing is there twice. Raises `WrongCount`."""
        held = self.bus.records() - self.held_before
        if not self.accepted <= held <= self.accepted + self.under_way:
            raise WrongCount(f"{held} records on the bus; {self.accepted} accepted, {self.under_way} not heard of")

    def await_bus(self) -> None:
        """Return once a report is accepted: the listener is bound before the service answers, and before Kafka is."""
        give_up_at = time.monotonic() + _READY_SECONDS
        while self.ask("POST", REPORT_PATH, report_body(1000))[0] != http.client.OK:
            if time.monotonic() > give_up_at:
                raise TimeoutError("The service accepts nothing.")
            self.under_way += 1
            time.sleep(0.1)
        self.accepted += 1

    def _headers(self, content_type: str) -> dict[str, str]:
        keys = {"Authorization": f"Bearer {self.key}", "x-pezzo-api-key": self.key, "x-api-key": self.key}
        return {**keys, "x-pezzo-project-id": PROJECT, "Content-Type": content_type}


@dataclass(slots=True)
class Track:
    """One endpoint under load, and the sum of its rounds."""

    service: Service
    path: str
    body: bytes
    items: int = 1  # reports per request
    connections: int = CONNECTIONS
    content_type: str = JSON
    count: int = field(default=0, init=False)  # of reports, or of constant answers
    seconds: float = field(default=0.0, init=False)
    cpu_seconds: float = field(default=0.0, init=False)

    @property
    def rate(self) -> float:
        """Reports per second."""
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time of the service per report, in microseconds."""
        return 1e6 * self.cpu_seconds / self.count

    def warm_up(self) -> None:
        """A short load that does not count as measured, but as accepted."""
        self._load(_WARM_UP_SECONDS if self.items == 1 else _BATCH_SECONDS)

    def add_one_round(self, seconds: float) -> None:
        """Load it for so long. Raises `LoadFailed`."""
        cpu = self.service.cpu_seconds()
        count, taken = self._load(seconds if self.items == 1 else max(seconds, _BATCH_SECONDS))
        self.cpu_seconds += self.service.cpu_seconds() - cpu
        self.count += count
        self.seconds += taken

    def _load(self, seconds: float) -> tuple[int, float]:
        endpoint = self.service.endpoint(self.path, self.body, self.content_type)
        outcome = steady_load(endpoint, connections=self.connections, seconds=seconds)
        if self.path not in (CONSTANT_PATH, ORDINARY_PATH):
            self.service.accepted += outcome.requests * self.items
            self.service.under_way += self.connections * self.items
        return outcome.requests * self.items, outcome.seconds


def in_turns(tracks: Sequence[Track], plan: Plan) -> None:
    """Load all of them, one after the other and round by round: what else the machine does falls on all."""
    for track in tracks:
        track.warm_up()
    for _ in range(plan.rounds):
        for track in tracks:
            track.add_one_round(plan.seconds)
    for service in {id(track.service): track.service for track in tracks}.values():
        service.check_bus()


@contextmanager
def running_service(folder: Path, kafka_servers: str | None = None, log: LogFile | None = None) -> Iterator[Service]:
    """A service over a new topic, or over a log, and ready to accept."""
    folder.mkdir()
    bus = KafkaTopic(kafka_servers, f"bench-{uuid4().hex[:12]}") if kafka_servers else log
    bus = bus or LogFile(folder / "log.sqlite")
    place = ["--kafka", bus.servers, bus.name] if isinstance(bus, KafkaTopic) else ["--log", str(bus.path)]
    held_before = bus.records() if log else 0
    command = [sys.executable, "-m", "tests.bench.ingest_server", str(folder), *place]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            service = Service(said["url"], said["key"], bus, held_before)
            service.await_bus()
            yield service
        finally:
            process.terminate()
