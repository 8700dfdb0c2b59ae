"""A replayed dead letter keeps the place of its acceptance; anything else counts where it was read."""

from dataclasses import replace

import pytest

from ledger.bus import Position, committable
from ledger.bus.replays import REPLAY_HEADER, REPLAYS_HEADER, delivery_at, replay_headers

PLACE = Position(1, 2, 30)
ACCEPTED = Position(1, 5, 7)
OTHER = ("other", b"x")


def test_a_replay_has_the_position_of_its_acceptance_and_progress_by_where_it_was_read() -> None:
    delivery = delivery_at(PLACE, b"k", b"e", b"b", (OTHER, *replay_headers(ACCEPTED, 3)))
    assert (delivery.position, delivery.read_at, delivery.headers) == (ACCEPTED, PLACE, (OTHER,))
    assert delivery.replays == 3
    assert committable([delivery]) == {2: 31}


def test_what_was_never_replayed_says_so() -> None:
    delivery = delivery_at(PLACE, b"k", b"e", b"b", (OTHER,))
    assert (delivery.replays, delivery.replayed_at, delivery.headers) == (0, None, (OTHER,))


def test_without_any_header_it_is_the_same() -> None:
    assert delivery_at(PLACE, b"k", b"e", b"b", ()) == replace(
        delivery_at(PLACE, b"k", b"e", b"b", (OTHER,)), headers=()
    )


@pytest.mark.parametrize("value", [b"", b"0", b"-1", b"x", b"10000", b"1.0", b"\xff"])
def test_a_replay_whose_number_cannot_be_read_is_the_first(value: bytes) -> None:
    headers = (replay_headers(ACCEPTED, 1)[0], (REPLAYS_HEADER, value))
    delivery = delivery_at(PLACE, None, None, None, headers)
    assert (delivery.position, delivery.replays, delivery.headers) == (ACCEPTED, 1, ())


@pytest.mark.parametrize("value", [b"", b"1-2", b"1-2-x", b"999-1-1", b"1-70000-1", b"1-1-2000000000000", b"-1-1-1"])
def test_a_replay_header_that_cannot_be_is_an_ordinary_header(value: bytes) -> None:
    headers = ((REPLAY_HEADER, value), (REPLAYS_HEADER, b"2"))
    delivery = delivery_at(PLACE, None, None, None, headers)
    assert (delivery.position, delivery.read_at, delivery.headers) == (PLACE, PLACE, headers)
    assert delivery.replays == 0


def test_two_replay_headers_are_none() -> None:
    headers = (*replay_headers(PLACE, 1), *replay_headers(PLACE, 1))
    assert delivery_at(PLACE, None, None, None, headers).position == PLACE
