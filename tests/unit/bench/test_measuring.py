"""The bench's own instruments: what they count is what happened."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from ledger.bus import Delivery, Position
from ledger.report import Envelope, Kind, encode
from tests.bench.bodies import anthropic_body, batch_body, entry_body, pezzo_body, record, report_body
from tests.bench.figures import Figure, table
from tests.bench.generator import Job, generate
from tests.bench.load import LoadFailed, read_wrk
from workers.decoding import Accepted, decode
from workers.normalising import Normalised, normalise
from workers.pricing import Pricing

REQUEST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"

A_FIGURE = Figure(name="a thing", unit="1/s", ours=50.0, limit_name="bare", limit=200.0, count=100, seconds=2.0)


@asynccontextmanager
async def served(status: bytes, seen: list[bytes]) -> AsyncIterator[int]:
    """The port of a server that answers every request with this status, in two writes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                seen.append(await reader.readexactly(len(REQUEST)))
                writer.write(b"HTTP/1.1 " + status + b" X\r\ncontent-length: 5\r\n\r\nhe")
                await writer.drain()
                writer.write(b"llo")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_generator_sends_so_many_whole_requests_and_counts_their_answers() -> None:
    seen: list[bytes] = []
    async with served(b"200", seen) as port:
        outcome = await generate(Job("127.0.0.1", port, REQUEST, connections=4, seconds=60.0, requests=100))
    assert (outcome.requests, outcome.failures) == (100, 0)
    assert seen == [REQUEST] * 100
    assert 0 < outcome.p50_ms <= outcome.p99_ms


async def test_a_pace_changes_when_requests_are_sent_not_how_many() -> None:
    seen: list[bytes] = []
    async with served(b"200", seen) as port:
        job = Job("127.0.0.1", port, REQUEST, connections=4, seconds=60.0, requests=30, per_second=300)
        outcome = await generate(job)
    assert (outcome.requests, outcome.failures, len(seen)) == (30, 0, 30)


async def test_an_answer_that_is_not_200_is_a_failure() -> None:
    async with served(b"503", []) as port:
        outcome = await generate(Job("127.0.0.1", port, REQUEST, connections=1, seconds=60.0, requests=10))
    assert (outcome.requests, outcome.failures) == (10, 10)


def test_the_report_of_wrk_is_read() -> None:
    printed = (
        "  Latency Distribution\n     50%    4.25ms\n     75%    5.00ms\n     99%    1.50s \n"
        "  120 requests in 3.01s, 1.00MB read\n  Socket errors: connect 1, read 2, write 0, timeout 4\n"
        "  Non-2xx or 3xx responses: 8\n"
    )
    outcome = read_wrk(printed)
    assert (outcome.requests, outcome.seconds, outcome.failures) == (120, 3.01, 15)
    assert (outcome.p50_ms, outcome.p99_ms) == (4.25, 1500.0)


def test_what_is_no_report_of_wrk_is_an_error() -> None:
    with pytest.raises(LoadFailed):
        read_wrk("unable to connect")


def test_the_table_shows_the_ratio_to_the_limit() -> None:
    heading, _, row = table([A_FIGURE]).splitlines()
    assert "ratio" in heading
    assert row.split()[:6] == ["a", "thing", "50.0", "200", "1/s", "0.25"]


@pytest.mark.parametrize("size", [1000, 3000, 20_000])
def test_a_body_has_the_size_that_is_asked_for_and_becomes_a_priced_row(size: int) -> None:
    assert abs(len(report_body(size)) - size) <= 16
    made = record(7, size)
    accepted = decode(Delivery(Position(1, 0, 7), made.key, made.envelope, made.body))
    assert isinstance(accepted, Accepted)
    report = normalise(accepted, Pricing().price)
    assert isinstance(report, Normalised)
    assert report.row.total_tokens == 780
    assert report.row.cost


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.OPENPIPE_REPORT_ANTHROPIC, anthropic_body),
        (Kind.PEZZO_REQUEST, pezzo_body),
        (Kind.LOG_INSERT, entry_body),
    ],
)
@pytest.mark.parametrize("size", [1000, 3000])
def test_the_body_of_every_dialect_has_the_size_and_becomes_a_priced_row(
    kind: Kind, body: Callable[[int], bytes], size: int
) -> None:
    sent = body(size)
    assert abs(len(sent) - size) <= 16
    envelope = msgspec.structs.replace(decoded_envelope(), kind=kind)
    accepted = decode(Delivery(Position(1, 0, 7), record(7, size).key, encode(envelope), sent))
    assert isinstance(accepted, Accepted)
    report = normalise(accepted, Pricing().price)
    assert isinstance(report, Normalised)
    assert report.row.total_tokens == 780
    assert report.row.cost


def decoded_envelope() -> Envelope:
    """That of a record of the bench."""
    made = record(7, 1000)
    accepted = decode(Delivery(Position(1, 0, 7), made.key, made.envelope, made.body))
    assert isinstance(accepted, Accepted)
    return accepted.envelope


def test_a_batch_holds_so_many_different_reports_a_line_each() -> None:
    lines = [json.loads(line) for line in batch_body(1000, 5).splitlines()]
    assert [line["kind"] for line in lines] == ["openpipe.report"] * 5
    assert [line["body"] for line in lines] == [json.loads(report_body(1000, number)) for number in range(5)]
