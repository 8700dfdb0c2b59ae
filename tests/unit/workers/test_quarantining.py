"""The ceiling of dead letters: what is a sender's fault goes through, what must be ours stops the work."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ledger.bus import Delivery
from ledger.report import Kind
from tests.support.events import a_delivery
from workers.decoding import RejectCode, Rejected
from workers.quarantining import Ceiling, TooManyDeadLetters

INSERT, UPDATE = Kind.LOG_INSERT, Kind.LOG_UPDATE


def records(count: int, project: str = "shop", kind: Kind = INSERT, partition: int = 0) -> list[Delivery]:
    delivery = a_delivery(project=project, kind=kind)
    return [
        replace(delivery, position=replace(delivery.position, partition=partition, offset=offset))
        for offset in range(count)
    ]


def check(ceiling: Ceiling, good: Sequence[Delivery], bad: Sequence[Delivery], *, mixed: int = 0) -> None:
    """One chunk: the bad ones at its end, or each behind so many good ones."""
    order: list[Delivery] = []
    rest = list(good)
    for delivery in bad:
        order += [*rest[:mixed], delivery]
        del rest[:mixed]
    part = [
        replace(delivery, position=replace(delivery.position, offset=offset))
        for offset, delivery in enumerate([*order, *rest] if mixed else [*rest, *order])
    ]
    dead = set(map(id, bad))
    places = [at for at, delivery in enumerate([*order, *rest] if mixed else [*rest, *order]) if id(delivery) in dead]
    ceiling.check(part, [Rejected(part[at], RejectCode.BODY_INVALID, "why") for at in places])


def test_one_project_may_send_rubbish_only_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    ceiling = Ceiling()
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            check(ceiling, [], records(500))
    assert [record.__dict__["project"] for record in caplog.records] == ["shop"]


def test_one_project_that_fails_with_one_kind_of_report_stops_nobody() -> None:
    check(Ceiling(), records(500, kind=UPDATE), records(500))


def test_every_kind_of_report_failing_is_our_own_fault_also_with_one_project() -> None:
    with pytest.raises(TooManyDeadLetters):
        check(Ceiling(max_run=10**6), [], [*records(150), *records(150, kind=UPDATE)])


def test_rubbish_of_several_projects_is_our_own_fault() -> None:
    bad = [*records(30, "shop"), *records(30, "bank")]
    with pytest.raises(TooManyDeadLetters, match="of the last"):
        check(Ceiling(), records(940), bad, mixed=15)


def test_a_small_share_is_ordinary() -> None:
    check(Ceiling(), records(950), [*records(25, "shop"), *records(25, "bank")])


def test_a_few_records_prove_nothing() -> None:
    ceiling = Ceiling(max_run=10**6)
    check(ceiling, [], [*records(100, "shop"), *records(99, "bank")])
    with pytest.raises(TooManyDeadLetters):
        check(ceiling, [], records(1))


def test_only_the_latest_records_count() -> None:
    ceiling = Ceiling()
    for good in (960, 1000, 960):
        bad = [] if good == 1000 else [*records(20, "shop"), *records(20, "bank")]
        check(ceiling, records(good), bad)


def test_the_share_is_counted_over_several_chunks() -> None:
    ceiling = Ceiling()
    check(ceiling, records(960), records(40, "shop"))
    with pytest.raises(TooManyDeadLetters):
        check(ceiling, records(1), records(40, "bank"))


def test_more_than_fifty_in_a_row_of_several_projects_stop_the_work_at_once() -> None:
    bad = [*records(50, "shop"), *records(1, "bank")]
    check(Ceiling(), records(1), [*bad[:25], *bad[26:]])
    with pytest.raises(TooManyDeadLetters, match="51 in a row on partition 0"):
        check(Ceiling(), [], bad)


def test_a_good_record_between_them_ends_the_run() -> None:
    ceiling = Ceiling(min_sample=10**6)
    for _ in range(3):
        check(ceiling, records(1), [*records(25, "shop"), *records(25, "bank")])


def test_runs_are_those_of_one_partition() -> None:
    bad = [*records(30, "shop", partition=1), *records(30, "bank", partition=2)]
    check(Ceiling(), [], bad)


def test_records_without_a_key_count_as_one_project_of_their_own() -> None:
    without_key = [replace(delivery, key=None) for delivery in records(300)]
    check(Ceiling(), [], without_key)
    with pytest.raises(TooManyDeadLetters):
        check(Ceiling(), [], [*without_key, *records(1)])


def test_keys_and_envelopes_of_any_bytes_are_counted() -> None:
    check(Ceiling(), [], [replace(delivery, key=b"\xff\x00", envelope=b'"kind":"\xff') for delivery in records(300)])


def test_a_known_lot_is_let_through_and_no_more_than_that() -> None:
    bad = [*records(200, "shop"), *records(200, "bank")]
    check(Ceiling(accepted=400), [], bad)
    with pytest.raises(TooManyDeadLetters):
        check(Ceiling(accepted=300), [], [*records(200, "shop"), *bad])


def test_what_is_rejected_later_is_counted_once_and_in_its_place() -> None:
    ceiling = Ceiling(min_sample=10**6, accepted=10)
    part = [
        replace(delivery, position=replace(delivery.position, offset=at))
        for at, delivery in enumerate([*records(60, "shop"), *records(1), *records(60, "bank")])
    ]
    first = [Rejected(delivery, RejectCode.BODY_INVALID, "why") for delivery in part[:60]]
    later = [Rejected(delivery, RejectCode.ROW_REFUSED, "why") for delivery in part[61:]]
    ceiling.check(part, first)
    ceiling.check_again(part, [*first, *later])
    assert ceiling.accepted == 0
    with pytest.raises(TooManyDeadLetters, match="61 in a row"):
        ceiling.check(part[:1], first[:1])


def test_what_stops_the_work_says_why_where_and_what_to_do() -> None:
    with pytest.raises(TooManyDeadLetters) as stopped:
        check(Ceiling(), [], [*records(100, "shop"), *records(100, "bank")])
    text = str(stopped.value)
    assert "body_invalid 200" in text
    assert "the first of them at 1-0-0" in text
    assert "llmledger dlq list" in text
    assert "--accept-dead-letters 200" in text
