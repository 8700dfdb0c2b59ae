"""The schema's way forward, as steps: nothing here runs a statement."""

from collections.abc import Sequence
from typing import Any

from ledger.store.migrations import SCHEMA_VERSION_TABLE, Execute, Fetch, Workflow, available, check, migrate

MIGRATIONS = [(2, "CREATE TABLE b (x Int8)"), (1, "CREATE TABLE a (x Int8)"), (3, "ALTER TABLE a ADD COLUMN y Int8")]
APPLIED = Fetch("SELECT version FROM schema_version")


def steps_and_result(
    workflow: Workflow, answers: Sequence[Sequence[Sequence[Any]]]
) -> tuple[list[Fetch | Execute], list[int]]:
    """What the workflow asks for when its questions get these answers, and what it returns."""
    steps: list[Fetch | Execute] = []
    waiting = iter(answers)
    answer: Sequence[Sequence[Any]] | None = None
    while True:
        try:
            step = workflow.send(answer)  # type: ignore[arg-type]  # a generator starts with None
        except StopIteration as done:
            return steps, done.value
        steps.append(step)
        answer = next(waiting) if isinstance(step, Fetch) else ()


def test_a_new_database_gets_every_migration_in_order_and_each_is_noted_after_it() -> None:
    steps, applied = steps_and_result(migrate(MIGRATIONS), [[]])
    assert steps == [
        Execute(SCHEMA_VERSION_TABLE),
        APPLIED,
        Execute("CREATE TABLE IF NOT EXISTS a (x Int8)"),
        Execute("INSERT INTO schema_version (version) VALUES (1)"),
        Execute("CREATE TABLE IF NOT EXISTS b (x Int8)"),
        Execute("INSERT INTO schema_version (version) VALUES (2)"),
        Execute("ALTER TABLE a ADD COLUMN y Int8"),
        Execute("INSERT INTO schema_version (version) VALUES (3)"),
    ]
    assert applied == [1, 2, 3]


def test_only_what_is_missing_is_applied() -> None:
    steps, applied = steps_and_result(migrate(MIGRATIONS), [[(1,), (3,), (1,)]])
    assert steps[2:] == [
        Execute("CREATE TABLE IF NOT EXISTS b (x Int8)"),
        Execute("INSERT INTO schema_version (version) VALUES (2)"),
    ]
    assert applied == [2]


def test_when_nothing_is_missing_nothing_is_applied() -> None:
    steps, applied = steps_and_result(migrate(MIGRATIONS), [[(1,), (2,), (3,)]])
    assert steps == [Execute(SCHEMA_VERSION_TABLE), APPLIED]
    assert applied == []


def test_a_later_programs_migrations_are_left_alone() -> None:
    _, applied = steps_and_result(migrate(MIGRATIONS), [[(1,), (2,), (3,), (99,)]])
    assert applied == []


def test_checking_changes_nothing_and_tells_what_is_missing() -> None:
    steps, missing = steps_and_result(check(MIGRATIONS), [[(1,)], [(2,)]])
    assert steps == [Fetch("EXISTS TABLE schema_version"), APPLIED]
    assert missing == [1, 3]


def test_checking_a_new_database_tells_everything() -> None:
    steps, missing = steps_and_result(check(sorted(MIGRATIONS)), [[(0,)]])
    assert steps == [Fetch("EXISTS TABLE schema_version")]
    assert missing == [1, 2, 3]


def test_the_migrations_of_this_program_are_numbered_without_a_gap() -> None:
    versions = [version for version, _ in available()]
    assert versions == list(range(1, len(versions) + 1))
    assert versions


def test_every_migration_can_be_repeated_after_a_crash() -> None:
    steps, _ = steps_and_result(migrate(available()), [[]])
    statements = [step.sql for step in steps if isinstance(step, Execute)]
    repeatable = ("IF NOT EXISTS", "MODIFY SETTING", "INSERT INTO schema_version")
    assert all(any(words in sql for words in repeatable) for sql in statements)
