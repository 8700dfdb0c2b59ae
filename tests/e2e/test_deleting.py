"""Deleting for good, however LLM Ledger was started: by id, by user, by filter; before, after and again."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.support.access import Access, Row, at_last

DELETE, DELETIONS = "/api/v1/admin/delete", "/api/v1/admin/deletions"


def insert(ledger: Access, user: str, model: str = "gpt-4o", **fields: Any) -> str:
    """Log an entry of this user; its id."""
    answer = ledger.post("/api/logs/insert", {"model": model, "initiator": user, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def update(ledger: Access, record_id: str, **fields: Any) -> None:
    """Update an entry."""
    answer = ledger.post("/api/logs/update", {"id": record_id, "update_data": fields})
    assert answer.status_code == 200, answer.text


def deleted(ledger: Access, headers: Mapping[str, str] | None = None, **what: Any) -> Row:
    """Ask for a deletion and wait until it is applied; how far it is then."""
    answer = ledger.post(DELETE, what, headers)
    assert answer.status_code == 202, answer.text
    accepted: Row = answer.json()
    assert answer.headers["LLMLedger-Position"] == ", ".join(accepted["positions"])
    return applied(ledger, accepted["deletion"])


def applied(ledger: Access, deletion: str) -> Row:
    """How far the deletion is, once it is applied."""
    answers: list[httpx.Response] = []

    def is_applied() -> bool:
        answers[:] = [ledger.get(f"{DELETIONS}/{deletion}")]
        return answers[0].status_code == 200 and answers[0].json()["state"] != "waiting"

    assert at_last(is_applied), answers[0].text
    status: Row = answers[0].json()
    return status


def ids(ledger: Access) -> set[str]:
    """The ids that the list shows."""
    return {row["id"] for row in ledger.requests()}


def test_a_deleted_record_is_gone_for_good_and_its_neighbour_is_not(spare: Access) -> None:
    gone, kept = insert(spare, "ann"), insert(spare, "ann")
    for record_id in (gone, kept):
        spare.wait_for_entry(record_id)

    status = deleted(spare, id=gone)

    assert (status["scope"], status["what"], status["records"]) == ("id", gone, 1)
    assert status["partitions"] == {"settled": 1, "of": 1}
    assert any(text.startswith("bus:") for text in status["remaining"])
    assert spare.get(f"/api/v1/requests/{gone}").status_code == 404
    assert spare.get("/api/v1/requests").json()["totalCount"] == 1
    update(spare, gone, description="late")
    update(spare, kept, description="later")
    spare.wait_for_entry(kept, lambda row: row["description"] == "later")
    assert ids(spare) == {kept}


def test_a_user_is_deleted_with_what_was_accepted_before_and_not_after(spare: Access, other_spare: Access) -> None:
    before = [insert(spare, "user:1") for _ in range(20)]
    other = insert(spare, "user:2")
    foreign = insert(other_spare, "user:1")
    status = deleted(spare, user_id="user:1")  # at once: the reports may still wait on the bus
    after = insert(spare, "user:1")

    spare.wait_for_entry(after)
    spare.wait_for_entry(other)
    assert status["records"] == len(before)
    assert ids(spare) == {other, after}
    assert spare.get("/api/v1/requests", user_id="user:1").json()["totalCount"] == 1
    other_spare.wait_for_entry(foreign)


def test_what_fulfils_a_filter_is_deleted(spare: Access) -> None:
    old, new = insert(spare, "ann", "gpt-3.5"), insert(spare, "ann", "gpt-4o")
    spare.wait_for_entry(new)
    rule = {"combinator": "and", "rules": [{"field": "model", "operator": "=", "value": "gpt-3.5"}]}
    status = deleted(spare, filter=rule)
    assert (status["scope"], status["records"]) == ("filter", 1)
    assert spare.get(f"/api/v1/requests/{old}").status_code == 404
    assert ids(spare) == {new}


def test_a_dead_letter_of_a_deleted_record_brings_nothing_back(spare: Access) -> None:
    key = {"Idempotency-Key": "one"}
    answer = spare.post("/api/logs/insert", {"model": "gpt-4o"}, key)
    record_id = answer.json()["id"]
    other = spare.post("/api/logs/insert", {"model": "another body under the same key"}, key)
    position = other.headers["LLMLedger-Position"]
    assert at_last(lambda: spare.get("/api/v1/status", position=position).json()["status"] == "dead_letter")
    deleted(spare, id=record_id)

    replayed = spare.post("/api/v1/admin/dead-letters/replay", {"position": position})

    assert replayed.status_code == 200, replayed.text
    after = insert(spare, "ann")
    spare.wait_for_entry(after)
    assert ids(spare) == {after}
    assert spare.get(f"/api/v1/requests/{record_id}").status_code == 404


def test_a_dry_run_counts_and_deletes_nothing(spare: Access) -> None:
    for user in ("ann", "ann", "bob"):
        spare.wait_for_entry(insert(spare, user))
    answer = spare.post(DELETE, {"user_id": "ann", "dry_run": True})
    assert (answer.status_code, answer.json()) == (200, {"project": spare.project, "matching": 2, "dead_letters": 0})
    assert len(spare.requests()) == 3
    assert spare.get(DELETIONS).json() == {"deletions": []}


def test_a_retry_under_the_same_idempotency_key_is_the_same_deletion(spare: Access) -> None:
    insert(spare, "ann")
    key = {"Idempotency-Key": "erase ann"}
    first = deleted(spare, key, user_id="ann")
    again = deleted(spare, key, user_id="ann")
    assert first["deletion"] == again["deletion"]
    (listed,) = spare.get(DELETIONS).json()["deletions"]
    assert (listed["deletion"], listed["records"], listed["what"]) == (first["deletion"], 1, "ann")
    others = [deleted(spare, key, user_id="bob"), deleted(spare, key, filter={"user_id": "ann"})]
    assert len({first["deletion"], *(other["deletion"] for other in others)}) == 3


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "exactly one"),
        ({"id": "x", "user_id": "y"}, "exactly one"),
        ({"filter": {}}, "filter"),
        ({"filter": {"no_such_column": 1}}, "no_such_column"),
        ({"user_id": ""}, "user_id"),
        ({"user": "ann"}, "user"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_wrong(spare: Access, body: Row, named: str) -> None:
    answer = spare.post(DELETE, body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_ids_of_others_and_deletions_that_never_were_are_not_found(spare: Access, other_spare: Access) -> None:
    foreign = insert(other_spare, "ann")
    for record_id in (foreign, "00000000-0000-7000-8000-000000000000", "nonsense"):
        assert spare.post(DELETE, {"id": record_id}).status_code == 404
        assert spare.get(f"{DELETIONS}/{record_id}").status_code == 404
    assert spare.post(DELETE, {"user_id": "ann", "project": other_spare.project}).status_code == 403
    other_spare.wait_for_entry(foreign)


def test_a_key_without_the_scope_admin_deletes_nothing(ledger: Access) -> None:
    assert ledger.post(DELETE, {"user_id": "nobody"}).status_code == 403
    assert ledger.get(DELETIONS).status_code == 403
