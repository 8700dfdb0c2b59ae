"""A question whose client is gone, over a connection that is played."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from query_api.hang_ups import HangUps


@dataclass
class Client:
    """Sends one request and hangs up when told."""

    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[Any] = field(default_factory=list)
    _sent: bool = False

    async def receive(self) -> Any:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.received.append(message)

    async def ask(self, app: Any, method: str = "GET") -> None:
        await HangUps(cast(Any, app))(cast(Any, {"type": "http", "method": method}), self.receive, self.send)


@dataclass
class Work:
    """An application that works until it is let go, and remembers what became of it."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: str = ""

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.began.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        self.outcome = "done"
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body", "body": b"x"})


async def test_the_work_ends_when_the_client_is_gone() -> None:
    client, work = Client(), Work()
    asking = asyncio.create_task(client.ask(work))
    await work.began.wait()
    client.hung_up.set()
    await asking
    assert (work.outcome, client.received, asking.cancelling()) == ("cancelled", [], 0)


async def test_the_work_is_done_for_a_client_who_stays() -> None:
    client, work = Client(), Work()
    work.let_go.set()
    await client.ask(work)
    assert (work.outcome, [message["type"] for message in client.received]) == (
        "done",
        ["http.response.start", "http.response.body"],
    )


async def test_what_changes_something_is_done_to_its_end() -> None:
    client, work = Client(), Work()
    asking = asyncio.create_task(client.ask(work, "POST"))
    await work.began.wait()
    client.hung_up.set()
    work.let_go.set()
    await asking
    assert work.outcome == "done"


async def test_what_comes_after_the_last_byte_is_not_cut_short() -> None:
    """A server says `disconnect` too when the answer is complete."""
    client, cleaned = Client(), False

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        nonlocal cleaned
        await send({"type": "http.response.body", "body": b"x"})
        client.hung_up.set()
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        cleaned = True

    await client.ask(app)
    assert cleaned


async def test_a_stream_is_ended_in_the_middle() -> None:
    client, ended = Client(), False

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal ended
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                client.hung_up.set()
                await asyncio.sleep(0)
        finally:
            ended = True

    await client.ask(app)
    assert ended


async def test_who_is_cancelled_from_outside_stays_cancelled() -> None:
    client, work = Client(), Work()
    asking = asyncio.create_task(client.ask(work))
    await work.began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert work.outcome == "cancelled"


async def test_a_failure_goes_through() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await Client().ask(app)
