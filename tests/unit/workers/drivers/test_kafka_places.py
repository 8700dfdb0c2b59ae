"""Which places of a group fit a log, and which logs fit what was stored."""

import pytest

from ledger.errors import Misconfigured
from workers.drivers.kafka_places import Gap, Span, gaps, require_known_end, text_of


@pytest.mark.parametrize("place", [5, 7, 10])
def test_a_place_within_the_log_or_at_its_end_is_no_gap(place: int) -> None:
    assert gaps({0: Span(5, 10)}, {0: place}) == []


@pytest.mark.parametrize("place", [0, 4, 11])
def test_a_place_outside_of_the_log_is_a_gap(place: int) -> None:
    assert gaps({0: Span(0, 100), 1: Span(5, 10)}, {0: 50, 1: place}) == [Gap(1, place, Span(5, 10))]


def test_a_partition_without_a_place_has_no_gap() -> None:
    assert gaps({0: Span(5, 10)}, {}) == []


def test_what_is_lost_is_said_with_the_way_on() -> None:
    text = text_of("reports", [Gap(1, 3, Span(5, 10)), Gap(2, 11, Span(0, 10))])
    assert "partition 1: 3 to 4 are gone; partition 2: the log ends at 10, the group is at 11" in text
    assert "llmledger workers --resume-after-loss" in text


def test_a_log_that_goes_on_after_what_is_stored_is_known() -> None:
    require_known_end("reports", 1, {0: Span(0, 10), 1: Span(3, 3)}, {0: 9, 1: 2})


@pytest.mark.parametrize("stored", [{0: 10}, {0: 5, 1: 0}])
def test_a_log_that_ends_before_what_is_stored_is_refused_with_the_way_on(stored: dict[int, int]) -> None:
    with pytest.raises(Misconfigured, match=r"ends before what was already stored.*LLMLEDGER_KAFKA__GENERATION"):
        require_known_end("reports", 1, {0: Span(0, 10)}, stored)
