"""What the bench counts by: lost and doubled reports are told, and rates are of the time in which all were at work."""

import os
import sys
from pathlib import Path

import pytest

from ledger.bus.sqlite_log import SqliteLog
from tests.bench.bodies import record
from tests.bench.freshness import share_of
from tests.bench.freshness import what_is_wrong as wrong_when_followed
from tests.bench.ingest_service import LogFile, Service, WrongCount
from tests.bench.paced import PacedOutcome
from tests.bench.processes import cpu_seconds, peak_in, peak_mb, pinned_to
from tests.bench.scaling import NotEachOnce, check_each_once, speed
from tests.bench.scaling_worker import Ended, Mark
from tests.bench.standalone import Sample, lag_figure, what_is_wrong

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the system tells it in /proc")


def marks(*points: tuple[float, float]) -> list[Mark]:
    """Marks at these times, with so many rows; the CPU time is a tenth of the time."""
    return [Mark(rows, at, at / 10) for at, rows in points]


def test_the_speed_of_two_workers_is_that_of_the_time_in_which_both_were_at_work() -> None:
    found = speed([marks((0, 100), (10, 1100), (20, 2100)), marks((5, 50), (15, 3050))])
    assert (found.rows, found.seconds) == (1000 + 3000, 10)
    assert found.rate == 400
    assert found.cpu_seconds == pytest.approx(2)


def test_the_speed_of_one_worker_is_from_its_first_mark_to_its_last() -> None:
    found = speed([marks((1, 100), (2, 200), (5, 700))])
    assert (found.rows, found.seconds) == (600, 4)


def test_workers_that_were_never_at_work_together_have_no_speed() -> None:
    with pytest.raises(ValueError, match="same time"):
        speed([marks((0, 1), (1, 2)), marks((2, 1), (3, 2))])


def test_every_offset_once_in_all_stores_together_is_right() -> None:
    check_each_once([Ended([], [(0, 3, 3)]), Ended([], [(1, 2, 1)])], 5)
    check_each_once([Ended([], [(0, 2, 1)]), Ended([], [(0, 1, 2)])], 3)


@pytest.mark.parametrize(
    "stored", [[(0, 2, 1)], [(0, 4, 6)], [(0, 3, 4)]], ids=["one is lost", "one is doubled", "one doubled, one lost"]
)
def test_a_lost_or_doubled_row_is_told(stored: list[tuple[int, int, int]]) -> None:
    with pytest.raises(NotEachOnce):
        check_each_once([Ended([], stored)], 3)


@pytest.mark.parametrize(("heard", "accepted", "visible"), [(10, 10, 10), (10, 14, 14)])
def test_answers_to_the_last_requests_need_not_be_heard(heard: int, accepted: int, visible: int) -> None:
    assert what_is_wrong(heard, accepted, visible, under_way=4) is None


@pytest.mark.parametrize(("heard", "accepted", "visible"), [(10, 9, 9), (10, 15, 15), (10, 10, 9), (10, 10, 11)])
def test_lost_and_doubled_reports_are_told(heard: int, accepted: int, visible: int) -> None:
    assert what_is_wrong(heard, accepted, visible, under_way=4)


def test_the_lag_of_the_second_half_stands_beside_that_of_the_first() -> None:
    samples = [Sample(1, 100, 50), Sample(2, 200, 160), Sample(3, 300, 180), Sample(4, 400, 390)]
    figure = lag_figure(samples)
    assert (figure.ours, figure.limit, figure.verdict) == (120, 100, "reached")


def test_a_lag_that_grows_misses_its_target() -> None:
    assert lag_figure([Sample(float(at), 1000 * at, 500 * at) for at in range(1, 11)]).verdict == "MISSED"


def test_a_small_lag_may_grow_to_what_comes_within_a_second() -> None:
    assert lag_figure([Sample(1, 1000, 999), Sample(2, 2000, 1100)]).verdict == "reached"


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100)]
    assert (share_of(values, 0.5), share_of(values, 0.99), share_of([7.0], 0.99)) == (50.0, 99.0, 7.0)
    assert share_of([], 0.5) != share_of([], 0.5), "there is no number"


def test_what_was_refused_or_never_visible_is_told() -> None:
    fine = PacedOutcome(10, 1.0, 0, 0, [0.1], [])
    assert wrong_when_followed(fine, 10, 10) is None
    assert wrong_when_followed(fine, 10, 9)
    assert wrong_when_followed(PacedOutcome(10, 1.0, 1, 0, [], []), 9, 9)
    assert wrong_when_followed(PacedOutcome(10, 1.0, 0, 0, [], ["1-0-7: waiting"]), 10, 10)


def test_the_peak_of_memory_is_read_in_millions_of_bytes() -> None:
    assert peak_in("Name:\tpython\nVmHWM:\t  250000 kB\nVmRSS:\t 1 kB\n") == 256.0
    with pytest.raises(ValueError, match="VmHWM"):
        peak_in("Name:\tkernel thread\n")


@LINUX
def test_the_system_tells_what_a_process_has_used_and_nothing_of_one_that_is_not_there() -> None:
    assert (peak_mb(os.getpid()) or 0) > 1
    assert cpu_seconds(os.getpid()) is not None
    assert peak_mb(0) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be bound to cores here")
def test_what_is_started_inside_is_bound_to_one_core_and_nothing_is_afterwards() -> None:
    before = os.sched_getaffinity(0)
    with pinned_to(0):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("records", [1, 2, 7, 64])
async def test_a_log_is_filled_up_with_copies_that_can_be_read(tmp_path: Path, records: int) -> None:
    file = LogFile(tmp_path / "log.sqlite")
    log = SqliteLog(file.path)
    await log.publish(record(0, 800))
    await log.close()
    file.copy_up_to(records)
    assert file.records() == records
    again = SqliteLog(file.path)
    found = await again.poll(records + 1)
    await again.close()
    assert [delivery.position.offset for delivery in found] == list(range(1, records + 1))


@pytest.mark.parametrize(("accepted", "is_right"), [(6, False), (5, True), (3, True), (2, False)])
async def test_records_on_the_bus_are_held_against_what_was_accepted(
    tmp_path: Path, accepted: int, is_right: bool
) -> None:
    file = LogFile(tmp_path / "log.sqlite")
    log = SqliteLog(file.path)
    for number in range(6):
        await log.publish(record(number, 800))
    await log.close()
    service = Service("http://nowhere", "key", file, held_before=1, accepted=accepted, under_way=2)
    if is_right:
        service.check_bus()
    else:
        with pytest.raises(WrongCount):
            service.check_bus()
