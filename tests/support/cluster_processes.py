"""The cluster as its operator starts it: topics, schema and a key by command, then one process per service."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from deploy.routes import Service
from tests.support.access import Access, at_last
from tests.support.child_process import Child, start_command, succeeded
from tests.support.gateway import running_gateway
from tests.support.kafka_settings import free_port

SERVICES = ("ingest-api", "workers", "query-api")
PARTITIONS = 3

_READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Backends:
    """What the services work with: a broker and an empty database."""

    bootstrap_servers: str
    store_dsn: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Services that are ready, behind one address."""

    access: Access
    key_file: Path
    children: Mapping[str, Child]


def cluster_settings(backends: Backends, home: Path) -> dict[str, str]:
    """The settings of every command and service; the topics and the group are new ones."""
    topic = f"cluster-{uuid4().hex[:12]}"
    return {
        "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": backends.bootstrap_servers,
        "LLMLEDGER_KAFKA__TOPIC": topic,
        "LLMLEDGER_KAFKA__GROUP": f"{topic}-workers",
        "LLMLEDGER_KAFKA__PARTITIONS": str(PARTITIONS),
        "LLMLEDGER_STORE__DSN": backends.store_dsn,
        "LLMLEDGER_BLOBS__URL": (home / "blobs").as_uri(),
        "LLMLEDGER_KEYS__FILE": str(home / "keys.json"),
    }


@contextmanager
def running_cluster(backends: Backends, home: Path, project: str) -> Iterator[Cluster]:
    """Prepare and start everything; at the end every service must end in good order."""
    (home / "blobs").mkdir()
    settings, key_file = cluster_settings(backends, home), home / "keys.json"
    succeeded(["topics", "ensure", "--wait", "30"], home, settings)
    succeeded(["migrate", "--wait", "30"], home, settings)
    key = new_key(key_file, project, home)
    ports = {service: free_port() for service in SERVICES}
    with _running(ports, home, settings) as children:
        urls = {service: f"http://127.0.0.1:{ports[service.value]}" for service in Service}
        with running_gateway(urls) as url:
            yield Cluster(Access(url, key, project), key_file, children)


def new_key(key_file: Path, project: str, home: Path) -> str:
    """Make a key of this project that may write and read, in this key file."""
    scopes = ["--scope", "ingest", "--scope", "query"]
    made = succeeded(["keys", "create", "--file", str(key_file), "--project", project, *scopes, "--json"], home)
    return str(json.loads(made)["key"])


@contextmanager
def _running(ports: Mapping[str, int], home: Path, settings: Mapping[str, str]) -> Iterator[Mapping[str, Child]]:
    children: dict[str, Child] = {}
    try:
        for service, port in ports.items():
            children[service] = start_command([service, "--port", str(port)], home, settings, log=f"{service}.log")
        for service, child in children.items():
            await_ready(child, ports[service])
        yield children
        codes = {service: child.interrupt() for service, child in children.items()}
        assert set(codes.values()) == {0}, "\n".join([str(codes), *(child.messages() for child in children.values())])
    finally:
        for child in children.values():
            child.kill()


def await_ready(child: Child, port: int) -> None:
    """Return once the service says that it is ready. Fails when it ends, or does not say so within the time."""
    url = f"http://127.0.0.1:{port}/health/ready"

    def ready() -> bool:
        assert child.process.poll() is None, f"exit {child.process.returncode}\n{child.messages()}"
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    assert at_last(ready, _READY_SECONDS), f"{url} is not ready after {_READY_SECONDS:.0f} s\n{child.messages()}"
