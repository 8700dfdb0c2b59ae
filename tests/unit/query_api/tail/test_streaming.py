"""A stream ends when nobody takes its events: its seat is free again."""

import asyncio
from typing import cast

from litestar.types import Message, Receive, Scope

from query_api.tail.following import Write
from query_api.tail.seats import Seats
from query_api.tail.streaming import EventStream

WAIT_SECONDS = 20.0


async def test_a_reader_that_takes_nothing_loses_its_seat() -> None:
    seats, never = Seats(1, 1), asyncio.Event()
    sent: list[Message] = []

    async def run(write: Write) -> None:
        while True:
            await write(b"x")

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > 2:
            await never.wait()

    async def receive() -> None:
        await never.wait()

    stream = EventStream(run, seats.taken("shop"), asyncio.Event(), patience_seconds=0.05)
    async with asyncio.timeout(WAIT_SECONDS):
        await stream(cast(Scope, {}), cast(Receive, receive), send)
    assert seats.count == 0
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]


async def test_a_reader_that_takes_its_time_keeps_it() -> None:
    taken = 0

    async def run(write: Write) -> None:
        for _ in range(5):
            await write(b"x")

    async def send(message: Message) -> None:
        nonlocal taken
        await asyncio.sleep(0)
        taken += bool(message.get("body"))

    async def receive() -> None:
        await asyncio.Event().wait()

    stream = EventStream(run, Seats(1, 1).taken("shop"), asyncio.Event())
    await stream(cast(Scope, {}), cast(Receive, receive), send)
    assert taken == 5
