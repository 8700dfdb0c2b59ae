"""The bench of peers: its load client, its counting and its tables, without any peer."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.bench.peers.asking import Question, Refused, ask, timed
from tests.bench.peers.calls import LlmCall, calls
from tests.bench.peers.environment import NotInstalled, locked_version
from tests.bench.peers.measuring import Listed, Stored, found, latencies
from tests.bench.peers.processes import tree, weigh
from tests.bench.peers.sending import Load, Request, sent
from tests.bench.peers.system import PAGE_ROWS, Page
from tests.bench.peers.table import listed_table, stored_table

LOCKS = Path(__file__).parents[2] / "bench" / "peers"
QUESTION = Question("POST", "/v1/traces", (("Content-Type", "application/x-protobuf"),), b"abc")
HANG_UP = 0

STORED = Stored(
    system="Peer",
    version="1.2",
    batch=100,
    calls=5000,
    acknowledged=4000,
    refused={"500": 300, "hung up": 100},
    unsent=600,
    put_off=7,
    found=2000,
    sending_seconds=10.0,
    storing_seconds=40.0,
    cpu_seconds=3.0,
    memory_bytes=500_000_000,
    load_before=1.25,
)


@contextmanager
def answering(statuses: Sequence[int], seen: list[bytes]) -> Iterator[str]:
    """The URL of a server that answers with these statuses in turn, and with 200 after them."""
    left = list(statuses)

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            status = left.pop(0) if left else 200
            if status == HANG_UP:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def requests(url: str, count: int, calls_each: int = 10) -> list[Request]:
    """So many different requests."""
    questions = [Question("POST", "/", (), f"request {number}".encode()) for number in range(count)]
    return [Request(question.raw(url), calls_each) for question in questions]


def test_every_request_is_sent_once_and_its_calls_are_acknowledged() -> None:
    seen: list[bytes] = []
    with answering([], seen) as url:
        outcome = sent(Load(url, connections=4, seconds=60.0), requests(url, 50))
    assert sorted(seen) == sorted(f"request {number}".encode() for number in range(50))
    assert (outcome.acknowledged, dict(outcome.refused), outcome.unsent, outcome.put_off) == (500, {}, 0, 0)
    assert outcome.seconds > 0


def test_what_is_told_to_come_again_is_sent_again() -> None:
    seen: list[bytes] = []
    with answering([503, 429], seen) as url:
        outcome = sent(Load(url, connections=1, seconds=60.0), requests(url, 3))
    assert len(seen) == 5
    assert (outcome.acknowledged, outcome.put_off, dict(outcome.refused)) == (30, 2, {})


def test_a_refusal_and_a_hang_up_are_told_and_not_sent_again() -> None:
    seen: list[bytes] = []
    with answering([500, HANG_UP, 200, 422], seen) as url:
        outcome = sent(Load(url, connections=1, seconds=60.0), requests(url, 5))
    assert len(seen) == 5
    assert outcome.acknowledged == 20
    assert dict(outcome.refused) == {"500": 10, "hung up": 10, "422": 10}


def test_what_there_is_no_time_for_is_told() -> None:
    outcome = sent(Load("http://127.0.0.1:9", connections=2, seconds=0.0), requests("http://127.0.0.1:9", 3))
    assert (outcome.acknowledged, outcome.unsent) == (0, 30)


def test_a_server_that_is_not_there_has_acknowledged_nothing() -> None:
    with answering([], []) as url:
        pass
    outcome = sent(Load(url, connections=2, seconds=60.0), requests(url, 3))
    assert (outcome.acknowledged, dict(outcome.refused)) == (0, {"hung up": 30})


def test_a_question_is_asked_as_often_as_wanted_and_a_refusal_is_an_error() -> None:
    seen: list[bytes] = []
    with answering([], seen) as url:
        taken = timed(url, QUESTION, 5, 60.0)
    assert (len(taken), seen) == (5, [b"abc"] * 5)
    with answering([404], []) as url, pytest.raises(Refused, match="404"):
        ask(url, QUESTION)


@dataclass(slots=True)
class Counting:
    """A server that has so many calls, then so many."""

    counts: list[int]
    url: str = "http://127.0.0.1:9"
    pid: int = 0
    pages: Sequence[Page] = field(default_factory=tuple)

    def export(self, calls: Sequence[LlmCall]) -> Question:
        return QUESTION

    def count(self) -> int:
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]


def test_counting_goes_on_until_all_are_found() -> None:
    before = time.perf_counter()
    server = Counting([0, 3, 5, 99])
    count, at = found(server, 5, 60.0)
    assert (count, server.counts) == (5, [99])
    assert before < at < time.perf_counter()


def test_counting_ends_when_the_time_is_over_and_tells_since_when_no_more_came() -> None:
    count, at = found(Counting([2]), 5, 0.0)
    assert count == 2
    assert at <= time.perf_counter()


def test_a_page_that_is_not_full_or_does_not_show_what_was_sent_is_refused() -> None:
    page = Page("a list", Question("GET", "/list"), b'"row"', (b'"tokens":780',))
    page.check(b'"row""tokens":780' * PAGE_ROWS)
    with pytest.raises(Refused, match="49 rows"):
        page.check(b'"row""tokens":780' * (PAGE_ROWS - 1))
    with pytest.raises(Refused, match="tokens"):
        page.check(b'"row"' * PAGE_ROWS)


def test_rates_are_of_calls_and_an_unknown_one_is_a_dash() -> None:
    assert (STORED.acknowledged_rate, STORED.found_rate, STORED.cpu_per_thousand) == (400.0, 50.0, 1.5)
    nothing = Stored(
        system="Peer",
        version="1.2",
        batch=1,
        calls=10,
        acknowledged=0,
        refused={"500": 10},
        unsent=0,
        put_off=0,
        found=0,
        sending_seconds=0.0,
        storing_seconds=1.0,
        cpu_seconds=1.0,
        memory_bytes=1,
        load_before=0.0,
    )
    line = stored_table([nothing]).splitlines()[2]
    assert line.split()[2:5] == ["1", "-", "-"]


def test_the_table_of_storing_tells_what_is_missing() -> None:
    heading, _, line = stored_table([STORED]).splitlines()
    assert heading.startswith("system")
    assert line.split()[:5] == ["Peer", "1.2", "100", "400", "50.0"]
    assert line.split()[9:12] == ["1.5", "500", "1.2"]
    for note in (
        "4,000 of 5,000",
        "300 calls: 500",
        "100 calls: hung up",
        "600 calls: no time",
        "7 requests told to come again",
        "2,000 acknowledged calls not found in time",
    ):
        assert note in line


def test_the_table_of_lists_has_a_line_for_each() -> None:
    listed = Listed(system="Peer", page="spans", rows=5128, p50=12.34, p99=250.6, requests=100)
    assert listed_table([listed]).splitlines()[2].split() == ["Peer", "spans", "5,128", "12.3", "251", "100"]


def test_percentiles_are_those_of_what_was_taken() -> None:
    assert latencies([float(number) for number in range(101)]) == (50.0, 99.0)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the operating system is asked by /proc")
def test_the_weight_of_a_server_has_that_of_its_children() -> None:
    eater = "import sys; sys.stdin.readline(); x = b'1' * 50_000_000; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", eater], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        before = weigh(os.getpid())
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.read(1)
        after = weigh(os.getpid())
        assert child.pid in tree(os.getpid())
        child.stdin.close()
    assert after.memory_bytes - before.memory_bytes > 40_000_000
    assert after.cpu_seconds >= before.cpu_seconds


@pytest.mark.parametrize(("peer", "package"), [("phoenix", "arize-phoenix"), ("mlflow", "mlflow")])
def test_the_packages_of_a_peer_are_pinned_with_hashes_and_name_no_place_to_get_them_from(
    peer: str, package: str
) -> None:
    lock = (LOCKS / f"{peer}.lock").read_text()
    assert locked_version(peer, package) in (LOCKS / f"{peer}.in").read_text()
    pins = re.findall(r"^[a-z0-9][\w.-]*==\S+.*?(?=^[a-z0-9]|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert len(pins) > 50
    assert all("--hash=sha256:" in pin for pin in pins)
    assert not re.search(r"https?://|index-url", lock)


def test_a_package_that_is_not_pinned_is_an_error() -> None:
    with pytest.raises(NotInstalled, match="make locks"):
        locked_version("phoenix", "no-such-package")


def test_calls_can_be_made_twice_the_same() -> None:
    assert list(calls(3, 3000, 1_795_289_550_000)) == list(calls(3, 3000, 1_795_289_550_000))
