"""Many uploads of the largest size at once, over HTTP to the real ingest service: in bounded memory."""

import json
import random
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.child_process import Child, start_command, succeeded
from tests.support.cluster_processes import Backends, await_ready, cluster_settings, new_key
from tests.support.kafka_broker import BrokerProcess
from tests.support.kafka_settings import free_port

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

UPLOADS = 16
MEBIBYTE = 1024 * 1024
MOST_MEBIBYTES = 1024
"""The budget of bodies is 256 MiB; each is copied about twice on its way, and the program itself takes 130 MiB."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """The service as a process, its key and its folder of claims."""

    child: Child
    url: str
    key: str
    blobs: Path

    def upload(self, number: int, body: bytes) -> list[httpx.Response]:
        """All answers to a client that waits as long as it is told to and asks again under the same key."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": f"upload {number}"}
        answers: list[httpx.Response] = []
        while not answers or answers[-1].status_code == 503:
            if answers:
                time.sleep(float(answers[-1].headers["Retry-After"]))
            answers.append(
                httpx.post(f"{self.url}/api/v1/report", content=body, headers=headers, timeout=120, verify=False)
            )
        return answers

    def most_mebibytes(self) -> int:
        """The most memory that the process ever had, as the kernel counts it."""
        status = Path(f"/proc/{self.child.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024


@pytest.fixture
def ingest(kafka_broker: BrokerProcess, tmp_path: Path) -> Iterator[Ingest]:
    settings = cluster_settings(Backends(kafka_broker.bootstrap_servers, "http://nobody:1/asks"), tmp_path)
    (tmp_path / "blobs").mkdir()
    succeeded(["topics", "ensure", "--wait", "30"], tmp_path, settings)
    key, port = new_key(tmp_path / "keys.json", "shop", tmp_path), free_port()
    child = start_command(["ingest-api", "--port", str(port)], tmp_path, settings)
    try:
        await_ready(child, port)
        yield Ingest(child, f"http://127.0.0.1:{port}", key, tmp_path / "blobs")
        assert child.interrupt() == 0
    finally:
        child.kill()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel says nothing of memory here")
def test_many_large_uploads_at_once_all_get_through_and_memory_stays_bounded(ingest: Ingest) -> None:
    text = b64encode(random.Random(1).randbytes(24 * 1000 * 1000)).decode()
    body = json.dumps({"reqPayload": {"model": "gpt-4o", "input": text}}).encode()
    with ThreadPoolExecutor(UPLOADS) as clients:
        told = list(clients.map(lambda number: ingest.upload(number, body), range(UPLOADS)))
    assert {answers[-1].status_code for answers in told} == {200}
    claims = [file for file in (ingest.blobs / "claims").rglob("*") if file.is_file()]
    assert {file.stat().st_size for file in claims} == {len(body)}
    assert len(claims) >= UPLOADS
    assert ingest.most_mebibytes() < MOST_MEBIBYTES
