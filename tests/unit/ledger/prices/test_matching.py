"""Which names a rule holds for."""

import pytest

from ledger.prices.matching import NameIndex, dashed_date, is_exact, predicate_of
from ledger.prices.schema import Match


@pytest.mark.parametrize(
    ("rule", "holds", "holds_not"),
    [
        (Match(equals=("a", "b")), "b", "ab"),
        (Match(starts_with=("gpt-", "o1")), "o1-mini", "my-o1"),
        (Match(ends_with=("-mini",)), "o1-mini", "mini"),
        (Match(contains=("claude",)), "us.anthropic.claude-3", "gpt"),
        (Match(regex=(r"^o[134]",)), "o3", "o2"),
        (Match(every=((Match(starts_with=("a",)), Match(ends_with=("z",))),)), "a-z", "a-y"),
        (Match(equals=("x",), every=((Match(contains=("q",)),),)), "aqa", "y"),
    ],
)
def test_a_rule_holds_when_any_of_its_tests_does(rule: Match, holds: str, holds_not: str) -> None:
    assert predicate_of(rule)(holds)
    assert not predicate_of(rule)(holds_not)


def test_a_rule_without_tests_never_holds() -> None:
    assert not predicate_of(Match())("")
    assert not predicate_of(Match())("gpt-5")


def test_a_rule_of_names_only_is_exact() -> None:
    assert is_exact(Match(equals=("a",)))
    assert not is_exact(Match(equals=("a",), contains=("b",)))


def test_an_exact_name_is_found_before_a_broader_rule() -> None:
    index = NameIndex([Match(starts_with=("gpt",)), Match(equals=("gpt-5",), contains=("mini",))])
    assert index.find("gpt-5") == 1
    assert index.find("gpt-4") == 0
    assert index.find("mini") == 1
    assert index.find("o3") is None


def test_the_first_of_two_broad_rules_counts() -> None:
    assert NameIndex([Match(contains=("a",)), Match(contains=("b",))]).find("ab") == 0


@pytest.mark.parametrize(
    ("name", "dashed"),
    [
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("gpt-5.2-20251211:online", "gpt-5.2-2025-12-11:online"),
        ("gpt-5.2-20250231", "gpt-5.2-20250231"),
        ("gpt-5.2-202512111", "gpt-5.2-202512111"),
        ("gpt-5.2", "gpt-5.2"),
    ],
)
def test_a_compact_date_is_written_with_dashes(name: str, dashed: str) -> None:
    assert dashed_date(name) == dashed
