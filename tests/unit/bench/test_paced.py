"""Steady load: every request has its turn, and every n-th report is followed until it is visible."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.bench.paced import Address, Follow, PacedJob, generate

REPORT = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


@asynccontextmanager
async def a_product(report_status: bytes, status: bytes) -> AsyncIterator[tuple[Address, list[bytes]]]:
    """Accepts reports at growing positions, and tells the same status of all of them; the positions it was asked of."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    asked.append(head.split()[1])
                    body = b'{"status":"' + status + b'"}'
                else:
                    await reader.readexactly(3)
                    body = b"{}"
                position = b"llmledger-position: 1-0-7\r\n"
                length = b"content-length: %d\r\n\r\n" % len(body)
                writer.write(b"HTTP/1.1 " + report_status + b" X\r\n" + position + length + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1]), asked


def a_job(address: Address, **changes: Follow) -> PacedJob:
    """Twenty requests in a tenth of a second over four connections."""
    return PacedJob(address, REPORT, connections=4, per_second=200, seconds=0.1, **changes)


async def test_every_request_of_the_time_is_sent_once() -> None:
    async with a_product(b"200", b"visible") as (address, asked):
        outcome = await generate(a_job(address))
    assert (outcome.requests, outcome.failures, outcome.visible_seconds, asked) == (20, 0, [], [])


async def test_every_fifth_report_is_followed_until_it_is_visible() -> None:
    async with a_product(b"200", b"visible") as (address, asked):
        outcome = await generate(a_job(address, follow=Follow(address, "key", 5)))
    assert asked == [b"/api/v1/status?position=1-0-7&wait=30"] * 4
    assert len(outcome.visible_seconds) == 4
    assert not outcome.troubles


async def test_a_report_that_does_not_become_visible_is_told() -> None:
    async with a_product(b"200", b"dead_letter") as (address, _):
        outcome = await generate(a_job(address, follow=Follow(address, "key", 10)))
    assert outcome.visible_seconds == []
    assert len(outcome.troubles) == 2


@pytest.mark.parametrize("status", [b"503", b"429"])
async def test_a_refusal_is_a_failure_and_is_not_followed(status: bytes) -> None:
    async with a_product(status, b"visible") as (address, asked):
        outcome = await generate(a_job(address, follow=Follow(address, "key", 1)))
    assert (outcome.requests, outcome.failures, asked) == (20, 20, [])
