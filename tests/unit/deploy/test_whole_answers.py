"""Heads that wait for what follows them, and that nothing waits for long or changes places."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.whole_answers import WholeAnswers

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
LARGE = b"x" * 70_000
PARTS = st.sampled_from([HEAD, b"{}", LARGE, b"HTTP/1.1 100 Continue\r\n\r\n", b"", b"data: 1\n\n"])


class Recording(asyncio.Transport):
    """A transport that keeps what was written, write by write."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        """Keep it."""
        assert not self.closed
        self.writes.append(data)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Take no more."""
        self.closed = True

    abort = close


class Turn:
    """The loop's next turn, when a test says that it comes."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def come(self) -> None:
        """Call what waits for it."""
        for _ in range(len(self.waiting)):
            self.waiting.pop(0)()


@pytest.fixture
def parts() -> tuple[WholeAnswers, Recording, Turn]:
    """A transport, what is behind it, and the loop's turn."""
    behind, turn = Recording(), Turn()
    return WholeAnswers(behind, turn.waiting.append), behind, turn


Parts = tuple[WholeAnswers, Recording, Turn]


def test_head_and_body_are_one_write(parts: Parts) -> None:
    transport, behind, turn = parts
    for part in (HEAD, b"{}", HEAD, b"{}"):
        transport.write(part)
    turn.come()
    assert behind.writes == [HEAD + b"{}"] * 2


def test_a_large_body_is_not_copied_for_its_head(parts: Parts) -> None:
    transport, behind, _ = parts
    transport.write(HEAD)
    transport.write(LARGE)
    assert behind.writes == [HEAD, LARGE]
    assert behind.writes[1] is LARGE


def test_a_head_alone_leaves_with_the_loops_next_turn(parts: Parts) -> None:
    transport, behind, turn = parts
    transport.write(HEAD)
    assert behind.writes == []
    turn.come()
    transport.write(b"later")
    assert behind.writes == [HEAD, b"later"]


def test_closing_sends_what_waits(parts: Parts) -> None:
    transport, behind, turn = parts
    transport.write(HEAD)
    transport.close()
    turn.come()
    assert (behind.writes, behind.closed) == ([HEAD], True)


def test_nothing_is_written_to_a_connection_that_is_gone(parts: Parts) -> None:
    transport, behind, turn = parts
    transport.write(HEAD)
    transport.abort()
    turn.come()
    transport.close()
    assert (behind.writes, transport.is_closing()) == ([], True)


def test_everything_else_is_the_transports_own(parts: Parts) -> None:
    assert parts[0].get_extra_info("peername") == ("127.0.0.1", 1)


@given(st.lists(PARTS | st.none()))
def test_all_bytes_leave_in_the_order_in_which_they_were_written(written: list[bytes | None]) -> None:
    behind, turn = Recording(), Turn()
    transport = WholeAnswers(behind, turn.waiting.append)
    for part in written:  # None: a turn of the loop
        if part is None:
            turn.come()
        else:
            transport.write(part)
    turn.come()
    assert b"".join(behind.writes) == b"".join(filter(None, written))
