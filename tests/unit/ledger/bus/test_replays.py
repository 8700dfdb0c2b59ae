"""A replayed dead letter keeps the place of its acceptance; anything else counts where it was read."""

import pytest

from ledger.bus import Position, committable
from ledger.bus.replays import REPLAY_HEADER, delivery_at, replay_header

PLACE = Position(1, 2, 30)


def test_a_replay_has_the_position_of_its_acceptance_and_progress_by_where_it_was_read() -> None:
    accepted = Position(1, 5, 7)
    delivery = delivery_at(PLACE, b"k", b"e", b"b", (("other", b"x"), replay_header(accepted)))
    assert (delivery.position, delivery.read_at, delivery.headers) == (accepted, PLACE, (("other", b"x"),))
    assert committable([delivery]) == {2: 31}


@pytest.mark.parametrize("value", [b"", b"1-2", b"1-2-x", b"999-1-1", b"1-70000-1", b"1-1-2000000000000", b"-1-1-1"])
def test_a_replay_header_that_cannot_be_is_an_ordinary_header(value: bytes) -> None:
    headers = ((REPLAY_HEADER, value),)
    delivery = delivery_at(PLACE, None, None, None, headers)
    assert (delivery.position, delivery.read_at, delivery.headers) == (PLACE, PLACE, headers)


def test_two_replay_headers_are_none() -> None:
    headers = (replay_header(PLACE), replay_header(PLACE))
    assert delivery_at(PLACE, None, None, None, headers).position == PLACE
