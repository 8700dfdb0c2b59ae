"""What is meant to exhaust a started product: it stays within its memory, and a good client is served meanwhile.

All attacks run at once. `LLMLEDGER_TEST_EXAMPLES` says how many rounds of them there are (by default one).
"""

import gzip
import os
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import zstandard

from tests.support.access import Access
from tests.support.standalone_process import Standalone

ROUNDS = min(100, int(os.environ.get("LLMLEDGER_TEST_EXAMPLES", "1")))
MIB = 1024 * 1024
MOST_MORE_MEMORY = 1280 * MIB
SIZE = 4 * MIB


def filled(unit: bytes, size: int = SIZE) -> bytes:
    """A report with a list of these."""
    return b'{"reqPayload":{"a":[' + (unit * (size // len(unit)))[:-1] + b"]}}"


@dataclass(frozen=True, slots=True)
class Attack:
    """A body, how it is packed, and the statuses that may answer it (503 beside them)."""

    body: bytes
    statuses: tuple[int, ...]
    encoding: str = "identity"
    path: str = "/report"


def json_attacks() -> dict[str, Attack]:
    return {
        "empty lists": Attack(filled(b"[],"), (200,)),
        "small objects": Attack(filled(b'{"a":1},'), (200,)),
        "nesting": Attack(b"[" * SIZE, (400,)),
        "nesting that closes": Attack(b"[" * (SIZE // 2) + b"]" * (SIZE // 2), (400,)),
        "nested objects": Attack(b'{"a":' * 100_000, (400,)),
        "halves of characters": Attack(filled(b'"\\ud83d",'), (200,)),
        "400 digits": Attack(b'{"reqPayload":' + b"9" * 400 + b"}", (400,)),
        "endless digits": Attack(b'{"reqPayload":' + b"9" * SIZE + b"}", (400,)),
        "1e999": Attack(b'{"reqPayload":1e999}', (400,)),
        "NaN": Attack(b'{"reqPayload":NaN}', (400,)),
        "escapes": Attack(b'{"reqPayload":"' + b"\\\\" * (SIZE // 2), (400,)),
        "keys": Attack(b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}", (413,)),
    }


def batch_attacks() -> dict[str, Attack]:
    head, tail = b'{"kind":"openpipe.report","body":{', b"}}\n"
    small = head + b'"reqPayload":[' + b'{"a":1},' * 500 + b"1]" + tail
    wrong = head + b'"tags":{' + b",".join(b'"%d%s":[]' % (number, b"x" * 90) for number in range(50)) + b"}" + tail
    bodies = {
        "elements": (b"[" + b"1," * (SIZE // 2) + b"1]", 413),
        "lines": (b"{\n" * (SIZE // 2), 413),
        "blank lines": (b"\r\n" * (SIZE // 2), 200),
        "a deep array": (b"[" * SIZE, 400),
        "a deep line": (b'{"body":' + b"[" * SIZE, 422),
        "large items": (small * 1000, 200),
        "wrong items": (wrong * 800, 422),
        "halves in items": ((head + b'"reqPayload":[' + b'"\\ud83d",' * 400 + b"1]" + tail) * 1000, 200),
    }
    return {
        f"batch of {name}": Attack(body, (status,), path="/api/v1/reports") for name, (body, status) in bodies.items()
    }


def packed_attacks() -> dict[str, Attack]:
    zeros = bytes(200 * MIB)
    noise = random.Random(1).randbytes(17 * MIB).hex().encode()
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    return {
        "gzip bomb": Attack(gzip.compress(zeros, 1), (400, 413), "gzip"),
        "zstd bomb": Attack(zstandard.compress(zeros), (400, 413), "zstd"),
        "wide zstd": Attack(packer.compress(noise) + packer.flush(), (400,), "zstd"),
        "too much in zstd": Attack(zstandard.compress(noise), (413,), "zstd"),
        "two layers": Attack(gzip.compress(gzip.compress(b"{}")), (415,), "gzip, gzip"),
        "a layer inside": Attack(gzip.compress(gzip.compress(zeros, 1), 1), (400,), "gzip"),
        "nothing": Attack(b"", (400,), "gzip"),
    }


LARGE = Attack(b'{"reqPayload":"' + b"x" * (32 * MIB - 20), (400,))
"""As large as may be, and never closed: it is read and looked at, but not kept."""


@dataclass(slots=True)
class GoodClient:
    """Reports and lists all the time."""

    access: Access
    statuses: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until told to end."""
        with httpx.Client(base_url=self.access.url, headers=self.access.bearer(), verify=False, timeout=60) as client:
            while not self._over.is_set():
                self.statuses.append(client.post("/report", json={"reqPayload": {"model": "good"}}).status_code)
                self.statuses.append(client.get("/api/v1/requests?view=full&limit=1").status_code)
                self._over.wait(0.05)

    def end(self) -> None:
        """Stop asking."""
        self._over.set()


def memory_peak(pid: int) -> int:
    """The most memory that the process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def connection(url: str) -> Iterator[socket.socket]:
    """A socket to the product."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as opened:
        yield opened


def status_told(opened: socket.socket) -> int:
    """The status of the answer; 0 when the connection ended without one."""
    try:
        head = opened.recv(4096)
    except ConnectionResetError:
        return 0
    return int(head.split()[1]) if head else 0


def slow_head(url: str) -> int:
    """A head that never comes to its end."""
    with connection(url) as opened:
        opened.sendall(b"POST /report HTTP/1.1\r\nhost: l\r\nx-slow: ")
        return status_told(opened)


def slow_body(url: str, key: str) -> int:
    """A body that never comes to its end, of one with a key or without."""
    head = f"POST /report HTTP/1.1\r\nhost: l\r\nauthorization: Bearer {key}\r\ncontent-length: 100000\r\n\r\n"
    with connection(url) as opened:
        opened.sendall(head.encode() + b'{"reqPayload":')
        return status_told(opened)


def flood_of_headers(url: str) -> int:
    """More headers than anybody needs."""
    with connection(url) as opened:
        try:
            opened.sendall(b"GET /health/live HTTP/1.1\r\nhost: l\r\n")
            for number in range(20_000):
                opened.sendall(b"x-%d: %s\r\n" % (number, b"y" * 100))
        except (BrokenPipeError, ConnectionResetError):
            return 431  # refused before all was sent
        return status_told(opened)


def posted(access: Access, attack: Attack) -> int:
    """The status of the answer to this body."""
    return access.post(attack.path, attack.body, {"content-encoding": attack.encoding}).status_code


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_attacks_neither_fill_the_memory_nor_keep_a_good_client_waiting_for_ever(
    attacked: Standalone, keys_by_scope: dict[str, str]
) -> None:
    access = attacked.access(keys_by_scope["ingest, query"])
    good, before = GoodClient(access), memory_peak(attacked.child.process.pid)
    attacks = json_attacks() | batch_attacks() | packed_attacks() | {f"large {number}": LARGE for number in range(10)}
    with ThreadPoolExecutor(60) as threads:
        serving = threads.submit(good.run)
        try:
            slow = [threads.submit(slow_head, access.url) for _ in range(12)]
            slow += [threads.submit(slow_body, access.url, key) for key in (access.key, "nobody") for _ in range(6)]
            floods = [threads.submit(flood_of_headers, access.url) for _ in range(3)]
            for _ in range(ROUNDS):
                told = {name: threads.submit(posted, access, attack) for name, attack in attacks.items()}
                for name, status in told.items():
                    assert status.result() in (*attacks[name].statuses, 503), name
            assert [one.result() for one in slow] == [408] * len(slow)
            assert {one.result() for one in floods} <= {431, 0}
        finally:
            good.end()
        serving.result()
    assert set(good.statuses) <= {200, 503}
    assert good.statuses.count(200) > len(good.statuses) / 2
    assert memory_peak(attacked.child.process.pid) - before < MOST_MORE_MEMORY
