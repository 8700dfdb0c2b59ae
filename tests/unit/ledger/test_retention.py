"""What is kept: whole days of UTC, per project and by default, and never what the disk cap has cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Unavailable
from ledger.filtering.reach import Reach
from ledger.filtering.retained import EVERYTHING, UNKNOWN, Retained
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId
from ledger.instants import iso_ms
from ledger.retention import DAY_MS, DEFAULT, Policies, Policy

SHOP, BANK, MILL = ProjectId("shop"), ProjectId("bank"), ProjectId("mill")
NOON = iso_ms("2026-03-14T12:00:00Z") or 0
TODAY = iso_ms("2026-03-14T00:00:00Z") or 0
INSTANTS = st.one_of(st.none(), st.integers(0, 5))
KEPT = st.builds(Retained.by, INSTANTS, st.dictionaries(st.sampled_from([SHOP, BANK]), INSTANTS))


def policies(cut_before: int | None = None, fallback: int | None = None, **days: int | None) -> Policies:
    set_ones = [Policy(DEFAULT if name == "default" else ProjectId(name), of, NOON, "k") for name, of in days.items()]
    return Policies(set_ones, fallback, cut_before)


def test_a_call_is_kept_for_its_days_and_until_the_end_of_that_day() -> None:
    since = policies(shop=1).retained(NOON).earliest(SHOP)
    assert since == TODAY - DAY_MS
    assert policies(shop=1).retained(TODAY + DAY_MS - 1).earliest(SHOP) == since
    assert policies(shop=1).retained(TODAY + DAY_MS).earliest(SHOP) == TODAY


def test_a_project_without_days_of_its_own_has_those_of_the_default_and_else_those_of_the_settings() -> None:
    assert policies(default=2, fallback=9, shop=1).days_of(BANK) == 2
    assert policies(fallback=9).days_of(BANK) == 9
    assert policies(default=None, fallback=9).days_of(BANK) is None
    assert policies(default=2, shop=None).retained(NOON).earliest(SHOP) is None


def test_what_the_disk_cap_has_cut_off_is_not_kept_by_any_policy() -> None:
    cut = TODAY - 3 * DAY_MS
    kept = policies(cut_before=cut, shop=None, bank=1, mill=9).retained(NOON)
    assert [kept.earliest(project) for project in (SHOP, BANK, MILL)] == [cut, TODAY - DAY_MS, cut]


def test_no_number_of_days_reaches_back_before_times_begin() -> None:
    assert policies(shop=36_500).retained(NOON).earliest(SHOP) == 0


def test_a_policy_can_be_changed_and_taken_back() -> None:
    before = policies(default=5, shop=1)
    assert before.changed(SHOP, None).days_of(SHOP) == 5
    assert before.changed(SHOP, Policy(SHOP, 7, NOON, "k")).days_of(SHOP) == 7


@given(KEPT, KEPT, st.integers(0, 5))
def test_the_laxer_of_two_keeps_what_either_keeps(one: Retained, other: Retained, created_at: int) -> None:
    for project in (SHOP, BANK, MILL):
        both = [kept.earliest(project) for kept in (one, other)]
        either = any(since is None or created_at >= since for since in both)
        laxer = one.laxer(other).earliest(project)
        assert (laxer is None or created_at >= laxer) is either


@given(KEPT, st.integers(0, 5))
def test_with_a_latest_instant_everything_from_then_on_is_kept(kept: Retained, latest: int) -> None:
    for project in (SHOP, BANK, MILL):
        since, then = kept.earliest(project), kept.no_later_than(latest).earliest(project)
        assert then == (None if since is None else min(since, latest))


def test_a_reach_says_from_when_on_everything_in_it_is_kept_where_that_is_one_instant() -> None:
    kept = Retained.by(7, {SHOP: 3, BANK: 7})
    assert (Reach(SHOP, kept).earliest, Reach(BANK, kept).earliest, Reach(None, kept).earliest) == (3, 7, None)
    assert Reach(None, Retained(7)).earliest == 7
    assert Reach(None).narrowed(SHOP) == Reach(SHOP, EVERYTHING)


def test_where_everything_is_kept_the_condition_is_as_without_retention() -> None:
    assert (Reach(None).clause(Bound()), Reach(SHOP).clause(Bound())) == ("1", "project = {p1:String}")
    assert Reach(SHOP, Retained(7)).owned(Bound()) == "project = {p1:String}"


@pytest.mark.parametrize("reach", [Reach(None, UNKNOWN), Reach(SHOP, UNKNOWN)])
def test_before_it_is_known_what_is_kept_nothing_can_be_asked(reach: Reach) -> None:
    with pytest.raises(Unavailable):
        reach.clause(Bound())
    with pytest.raises(Unavailable):
        _ = reach.earliest
