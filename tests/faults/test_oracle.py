"""The oracle itself: every kind of violation is found, a clean history passes, and what cannot be read is an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.faults.oracle import judge
from tests.faults.reading import ProjectReading, Reading, Row, Unreadable
from tests.faults.sent import Dead, Outcome, Sent, payload_sha
from tests.faults.told import choices, told_by
from tests.faults.verdict import Result, Verdict

REQUEST, REPLY = '{"model":"gpt-4o-mini"}', '{"id":"chatcmpl-1"}'
EXPECTS: Mapping[str, Any] = {"model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 2, "cost": "0.0000027"}


@dataclass(slots=True)
class Shown:
    """A reader of what a test made up."""

    reading: Reading | None

    def read(self, ids: Mapping[str, Sequence[str]]) -> Reading:
        """What was made up."""
        if self.reading is None:
            raise Unreadable("503")
        return self.reading

    def shows(self, project: str, record_id: str) -> bool:
        """Always: no test waits."""
        return True


def a_report(number: int, project: str = "alpha", **changes: Any) -> Sent:
    """An acknowledged report; its tag and id follow from its number."""
    sent = Sent(
        number=number,
        api="log",
        project=project,
        tag=f"tag-{number}",
        idempotency_key=f"key-{number}",
        record_id=f"id-{number}",
        position=f"1-0-{number}",
        body_sha=payload_sha(REQUEST, REPLY),
        expects=EXPECTS,
        at=float(number),
        outcome=Outcome.ACK,
        status=200,
        until=number + 0.5,
    )
    return replace(sent, **changes)


def an_update(number: int, fields: Mapping[str, Any], **changes: Any) -> Sent:
    """An acknowledged update of record 1."""
    return a_report(number, api="update", record_id="id-1", expects={"fields": fields}, body_sha="", **changes)


def a_deletion(number: int, **changes: Any) -> Sent:
    """An acknowledged deletion of record 1."""
    return a_report(number, api="delete", record_id="id-1", expects={"id": "id-1"}, body_sha="", **changes)


def an_unknown(sent: Sent) -> Sent:
    """The same attempt without an answer."""
    return replace(sent, outcome=Outcome.UNKNOWN, position=None, status=None)


def a_row(number: int, project: str = "alpha", **changes: Any) -> dict[str, Any]:
    """The row of a report, as the list by cursor shows it."""
    row = {
        "id": f"id-{number}",
        "project": project,
        "user_id": f"tag-{number}",
        "model_requested": "gpt-4o-mini",
        "input_tokens": 10,
        "output_tokens": 2,
        "cost": "0.0000027",
        "description": "as sent",
        "metadata": {"n": "0"},
        "duration_ms": 1500.0,
    }
    return row | changes


def listed(row: Row, **changes: Any) -> dict[str, Any]:
    """The same row as the documented list shows it."""
    tokens = {"prompt_tokens": row["input_tokens"], "completion_tokens": row["output_tokens"]}
    cost = None if row["cost"] is None else float(row["cost"])
    bodies = {"request_body": REQUEST, "response_body": REPLY}
    return {"id": row["id"], "user_id": row["user_id"], **tokens, "cost": cost, **bodies} | changes


def a_project(*rows: Row, **changes: Any) -> ProjectReading:
    """A project that shows these rows everywhere."""
    shown = ProjectReading(len(rows), [listed(row) for row in rows], rows, {row["id"]: row for row in rows})
    return replace(shown, **changes)


def a_reading(alpha: ProjectReading, beta: ProjectReading | None = None, dead: Sequence[Row] = ()) -> Reading:
    """Both projects; beta is empty unless it is given."""
    return Reading({"alpha": alpha, "beta": beta or a_project()}, dead)


def a_letter(position: str, reason: str = "body_unreadable") -> Row:
    """A dead letter, as the product lists it."""
    return {"position": position, "reason": reason}


def verdict_on(sent: Sequence[Sent], reading: Reading | None) -> Verdict:
    """The verdict at once."""
    return judge(sent, Shown(reading), patience=0.0)


def invariants(verdict: Verdict) -> set[str]:
    """Which invariants are violated."""
    return {what.split()[0] for what in verdict.mismatches}


TWO = [a_report(1), a_report(2, "beta")]
CLEAN = a_reading(a_project(a_row(1)), a_project(a_row(2, "beta")))


def test_a_clean_history_passes() -> None:
    verdict = verdict_on(TWO, CLEAN)
    assert (verdict.result, verdict.mismatches, verdict.counts.visible) == (Result.PASS, [], 2)


def test_a_product_that_cannot_be_read_is_an_error_and_no_mismatch() -> None:
    assert verdict_on(TWO, None).result is Result.CHECK_ERROR


def test_an_answer_without_the_expected_fields_is_an_error() -> None:
    row = {name: value for name, value in a_row(1).items() if name != "metadata"}
    sent = [a_report(1), an_update(3, {"metadata": {"n": "1"}})]
    broken = a_reading(a_project())
    broken = replace(broken, projects={**broken.projects, "alpha": ProjectReading(1, [listed(row)], [row])})
    assert verdict_on(sent, broken).result is Result.CHECK_ERROR


def test_a_load_of_which_nothing_was_acknowledged_is_an_error() -> None:
    assert verdict_on([], a_reading(a_project())).result is Result.CHECK_ERROR
    assert verdict_on([an_unknown(a_report(1))], a_reading(a_project())).result is Result.CHECK_ERROR


def test_dead_letters_that_must_be_and_cannot_be_read_are_an_error() -> None:
    dead = a_report(3, expects={**EXPECTS, "dead": Dead.MUST})
    assert verdict_on([a_report(1), dead], replace(a_reading(a_project(a_row(1))), dead=None)).result is (
        Result.CHECK_ERROR
    )


def test_what_was_seen_while_the_load_ran_counts() -> None:
    verdict = judge(TWO, Shown(CLEAN), patience=0.0, observed=["I4 order: id-1 went back"])
    assert (verdict.result, invariants(verdict)) == (Result.MISMATCH, {"I4"})


OFF = a_project(a_row(1))
VIOLATIONS: list[tuple[str, list[Sent], Reading]] = [
    ("I1", TWO, a_reading(OFF)),
    ("I6", TWO, a_reading(OFF)),
    ("I1", [a_report(1)], a_reading(a_project(), dead=[a_letter("1-0-1")])),
    ("I1", [a_report(1), a_report(3, outcome=Outcome.REJECT, status=400, position=None)], a_reading(OFF)),
    ("I1", [a_report(1), a_report(3, expects={**EXPECTS, "dead": Dead.MUST})], a_reading(OFF)),
    ("I2", [a_report(1)], a_reading(a_project(a_row(1), a_row(7)))),
    ("I2", [a_report(1)], a_reading(OFF, dead=[a_letter("1-0-9")])),
    (
        "I2",
        [a_report(1), a_report(3, expects={**EXPECTS, "dead": Dead.MUST})],
        a_reading(a_project(a_row(1), a_row(3)), dead=[a_letter("1-0-3")]),
    ),
    ("I3", [a_report(1)], a_reading(a_project(a_row(1), a_row(1)))),
    ("I3", [a_report(1)], a_reading(a_project(a_row(1), a_row(1, id="id-other")))),
    ("I3", [a_report(1)], a_reading(replace(OFF, total=2))),
    ("I3", [a_report(1)], a_reading(replace(OFF, pages=[]))),
    ("I3", [a_report(1)], a_reading(replace(OFF, singles={"id-1": None}))),
    ("I3", [a_report(1)], a_reading(replace(OFF, singles={"id-1": a_row(1, cost="1")}))),
    ("I3", [a_report(1)], a_reading(replace(OFF, singles={"id-9": a_row(9)}))),
    (
        "I3",
        [a_report(1), a_report(3, expects={**EXPECTS, "dead": Dead.MUST})],
        a_reading(OFF, dead=[a_letter("1-0-3")] * 2),
    ),
    (
        "I1",
        [a_report(1), a_report(3, expects={**EXPECTS, "dead": Dead.MUST})],
        a_reading(OFF, dead=[a_letter("1-0-3", "")]),
    ),
    ("I4", [a_report(1), an_update(3, {"description": "new"})], a_reading(OFF)),
    ("I4", [a_report(1), an_update(3, {"metadata": {"n": "1"}})], a_reading(OFF)),
    ("I4", [a_report(1), an_update(3, {"cost": 0.5})], a_reading(OFF)),
    ("I4", [a_report(1), an_update(3, {"response_data": {"usage": {}}})], a_reading(OFF)),
    ("I5", [a_report(1, body_sha="other")], a_reading(OFF)),
    ("I5", [a_report(1)], a_reading(a_project(a_row(1, cost="0.0000028")))),
    ("I5", [a_report(1)], a_reading(a_project(a_row(1, input_tokens=11)))),
    ("I5", [a_report(1)], a_reading(a_project(a_row(1, model_requested="gpt-4o")))),
    ("I5", [a_report(1)], a_reading(a_project(a_row(1, id="id-9")))),
    ("I5", [a_report(1)], a_reading(replace(OFF, pages=[listed(a_row(1), cost=1.0)]))),
    (
        "I6",
        [a_report(1, expects={**EXPECTS, "dead": Dead.MAY})],
        a_reading(OFF, dead=[a_letter("1-0-1")]),
    ),
    ("I7", TWO, a_reading(a_project(a_row(1), a_row(2)))),
    ("I7", TWO, a_reading(replace(OFF, foreign={"id-2": 200}), a_project(a_row(2, "beta")))),
    ("I8", [a_report(1)], replace(a_reading(OFF), stable=False)),
    ("I9", [a_report(1), a_deletion(3)], a_reading(OFF)),
    ("I9", [a_report(1), a_deletion(3)], a_reading(a_project(singles={"id-1": a_row(1)}))),
    ("I1", [a_report(1), a_deletion(3)], a_reading(a_project(), dead=[a_letter("1-0-3")])),
    ("I1", [a_report(1), a_report(2), a_deletion(3)], a_reading(a_project())),
    ("I1", [a_report(1), a_deletion(3, outcome=Outcome.REJECT, status=403, position=None)], a_reading(OFF)),
]


@pytest.mark.parametrize(("invariant", "sent", "reading"), VIOLATIONS)
def test_a_violation_is_found(invariant: str, sent: list[Sent], reading: Reading) -> None:
    verdict = verdict_on(sent, reading)
    assert verdict.result is Result.MISMATCH
    assert invariant in invariants(verdict), verdict.mismatches


def test_an_unknown_report_may_be_there_or_not() -> None:
    sent = [a_report(1), an_unknown(a_report(3))]
    assert verdict_on(sent, a_reading(OFF)).result is Result.PASS
    seen = verdict_on(sent, a_reading(a_project(a_row(1), a_row(3))))
    assert (seen.result, seen.counts.unknown_visible) == (Result.PASS, 1)


def test_a_deleted_report_is_gone() -> None:
    verdict = verdict_on([a_report(1), a_deletion(3)], a_reading(a_project(singles={"id-1": None})))
    assert (verdict.result, verdict.counts.deleted) == (Result.PASS, 1)


def test_a_deletion_without_an_answer_may_have_taken_its_report_or_not() -> None:
    sent = [a_report(1), an_unknown(a_deletion(3))]
    assert verdict_on(sent, a_reading(OFF)).result is Result.PASS
    assert verdict_on(sent, a_reading(a_project())).result is Result.PASS


def test_updates_after_one_another_are_in_order_whatever_their_places_say() -> None:
    later = an_update(4, {"description": "two"}, position="1-7-2")
    chosen = choices(told_by([an_update(3, {"description": "one"}), later]).updates["id-1"], [])
    assert chosen["description"].values == ("two",)


def test_a_report_that_was_sent_again_until_it_was_known_is_one_row() -> None:
    again = a_report(1)
    verdict = verdict_on([an_unknown(again), replace(again, number=2)], a_reading(OFF))
    assert (verdict.result, verdict.counts.retries) == (Result.PASS, 1)


def test_a_dead_letter_that_must_be_one_is_right() -> None:
    dead = a_report(3, expects={**EXPECTS, "dead": Dead.MUST})
    assert verdict_on([a_report(1), dead], a_reading(OFF, dead=[a_letter("1-0-3")])).result is Result.PASS


def test_the_last_acknowledged_update_of_a_field_is_the_right_one() -> None:
    sent = [a_report(1), an_update(3, {"description": "one"}), an_update(4, {"description": "two", "cost": 0.5})]
    right, wrong = (a_reading(a_project(a_row(1, description=text, cost="0.5"))) for text in ("two", "one"))
    assert verdict_on(sent, right).result is Result.PASS
    assert invariants(verdict_on(sent, wrong)) == {"I4"}


def test_an_update_without_an_answer_may_be_in_force_or_not() -> None:
    sent = [a_report(1), an_update(3, {"description": "one"}), an_unknown(an_update(4, {"description": "two"}))]
    for text in ("one", "two"):
        assert verdict_on(sent, a_reading(a_project(a_row(1, description=text)))).result is Result.PASS
    assert invariants(verdict_on(sent, a_reading(OFF))) == {"I4"}


def test_an_update_that_was_sent_again_lies_before_what_was_sent_after_it() -> None:
    first = an_update(3, {"description": "one"})
    sent = [an_unknown(first), replace(first, number=4, position="1-0-4"), an_update(5, {"description": "two"})]
    chosen = choices(told_by(sent).updates["id-1"], [])
    assert (chosen["description"].values, chosen["description"].base) == (("two",), False)


def test_an_update_that_was_unknown_for_a_while_may_lie_before_or_after_another_one_of_that_time() -> None:
    floating = an_update(3, {"description": "one"}, at=3.0)
    sent = [
        an_unknown(floating),
        an_update(4, {"description": "two"}, at=3.1, until=3.2),
        replace(floating, number=5, position="1-0-5", at=5.0),
    ]
    chosen = choices(told_by(sent).updates["id-1"], [])
    assert set(chosen["description"].values) == {"one", "two"}


def test_a_dead_lettered_update_is_not_in_force() -> None:
    dead = an_update(3, {"description": "one"})
    assert choices(told_by([dead]).updates["id-1"], ["1-0-3"]) == {}
