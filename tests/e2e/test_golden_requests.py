"""Requests that real clients have sent, replayed byte for byte: the answer, and what is stored and shown of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.access import Access, Row
from tests.support.ledger_fixtures import StartedLedger
from tests.support.recorded_requests import Recorded, recorded_requests

WAITING: Mapping[str, tuple[int, Any]] = {
    "openpipe-js-1.0.0__11-update-log-tags": (404, {"message": "Not found", "code": "NOT_FOUND"}),
    "openpipe-js-1.0.0__12-update-log-metadata": (404, {"message": "Not found", "code": "NOT_FOUND"}),
    "openpipe-js-1.0.0__14-get-latest-logged-call": (404, {"message": "Not found", "code": "NOT_FOUND"}),
}
"""Requests that nothing serves yet, and what they are answered until then instead of what is expected of them."""

RECORDED = recorded_requests()
REPORTS = [one for one in RECORDED if one.makes_a_row]
LISTINGS = [one for one in RECORDED if "totalCount" in one.expected]
OTHERS = [one for one in RECORDED if one not in REPORTS and one not in LISTINGS]

NOTHING_KNOWN: Row = {
    "project": "proj_test",
    "status_code": None,
    "is_error": False,
    "streamed": False,
    "cached": False,
    "metadata": {},
    "media": [],
}
"""What is stored when nothing is known; every other field is null then."""

STAMPS = {"id", "ingested_at", "updated_at", "price_version"}

SEEDS: Mapping[str, Row] = {
    "prod": {
        "requestedAt": 1_750_000_000_000,
        "statusCode": 200,
        "reqPayload": {"user": "user@example.com", "messages": [{"role": "user", "content": "Say Hello World"}]},
        "tags": {"env": "prod", "tier": "free", "n": 42},
    },
    "dev": {
        "requestedAt": 1_750_000_001_000,
        "statusCode": 500,
        "reqPayload": {"user": "other@example.com", "messages": [{"role": "user", "content": "100%"}]},
        "tags": {"env": "dev", "tier": "free", "n": "142"},
    },
    "loud": {
        "requestedAt": 1_750_000_002_000,
        "reqPayload": {"messages": [{"role": "user", "content": "Shout"}]},
        "respPayload": {"choices": [{"message": {"content": "HELLO WORLD"}}]},
        "tags": {"env": "PROD", "tier": "free", "n": 7},
    },
}
"""What there is to be listed, for the recorded listings to tell apart."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The answer to a replayed report, and what became of the report."""

    sent_at: datetime
    answer: httpx.Response
    listed: Row
    documented: Row
    stored: Row


@pytest.fixture(scope="module")
def replayed(started_ledger: StartedLedger) -> Mapping[str, Replayed]:
    """Every recorded report, sent once and read back."""
    access = started_ledger.access
    sent = {one.name: (datetime.now(UTC), one.sent_to(access)) for one in REPORTS}
    ids = {name: id_of(answer) for name, (_, answer) in sent.items()}
    stored = {name: access.wait_for_entry(record_id) for name, record_id in ids.items()}
    listed, documented = shown(access), shown(access, types="documented")
    return {
        name: Replayed(*sent[name], listed[record_id], documented[record_id], stored[name])
        for name, record_id in ids.items()
    }


@pytest.fixture(scope="module")
def seeded(started_ledger: StartedLedger) -> tuple[Access, Mapping[str, str]]:
    """A project that holds the seeds and nothing else, and their ids by name."""
    access = next(started_ledger.spares)
    ids = {name: access.report(body) for name, body in SEEDS.items()}
    access.wait_for_requests(len(SEEDS))
    return access, ids


def named(recorded: list[Recorded]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recorded", recorded, ids=[one.name for one in recorded])


@named(REPORTS)
def test_a_report_is_answered_as_its_client_knows_it(recorded: Recorded, replayed: Mapping[str, Replayed]) -> None:
    answer = replayed[recorded.name].answer
    assert answer.status_code == recorded.expected["status"]
    assert answer.json() == with_id(recorded.expected["answer"], id_of(answer))


@named(REPORTS)
def test_a_report_is_stored_with_all_that_it_tells(recorded: Recorded, replayed: Mapping[str, Replayed]) -> None:
    one = replayed[recorded.name]
    arrived = datetime.fromisoformat(one.stored["ingested_at"])
    assert one.sent_at - timedelta(milliseconds=1) <= arrived <= datetime.now(UTC)
    assert one.stored["updated_at"] == one.stored["ingested_at"]
    assert one.stored["price_version"]
    unknown = dict.fromkeys(set(one.stored) - STAMPS) | NOTHING_KNOWN
    assert without(one.stored, STAMPS) == unknown | at_arrival(recorded.expected["stored"], one.stored)


@named(REPORTS)
def test_the_payloads_that_are_expected_are_the_bytes_that_were_sent(recorded: Recorded) -> None:
    # The test above compares what is stored with what is expected; this one holds what is expected to what was sent.
    texts = [recorded.expected["stored"].get(name) for name in ("raw_request", "raw_response")]
    assert [text and json.loads(text) for text in texts] == payloads_in(json.loads(recorded.body))
    assert all(text in recorded.body for text in texts if text)


@named(REPORTS)
def test_a_report_is_listed_in_the_documented_form(recorded: Recorded, replayed: Mapping[str, Replayed]) -> None:
    one, stored = replayed[recorded.name], recorded.expected["stored"]
    bodies = {"request_body": stored.get("raw_request"), "response_body": stored.get("raw_response")}
    times = {"id": id_of(one.answer), "updatedAt": one.stored["updated_at"]}
    head = at_arrival(recorded.expected["listed"], {"createdAt": one.stored["ingested_at"]}) | times
    assert one.listed == head | {name: text and json.loads(text) for name, text in bodies.items()}
    status = None if head["status"] is None else str(head["status"])
    assert one.documented == head | bodies | {"status": status}


@named(LISTINGS)
def test_a_listing_shows_what_its_conditions_say(recorded: Recorded, seeded: tuple[Access, Mapping[str, str]]) -> None:
    access, ids = seeded
    answer = recorded.sent_to(access)
    assert answer.status_code == recorded.expected["status"]
    body = answer.json()
    assert set(body) == {"requests", "totalCount"}
    names = {record_id: name for name, record_id in ids.items()}
    assert [names[row["id"]] for row in body["requests"]] == recorded.expected["shown"]
    assert body["totalCount"] == recorded.expected["totalCount"]


@named(OTHERS)
def test_any_other_request_is_answered_as_its_client_knows_it(
    recorded: Recorded, ledger: Access, replayed: Mapping[str, Replayed]
) -> None:
    assert replayed  # an update finds the reports that its client had sent before
    answer = recorded.sent_to(ledger)
    expected = (recorded.expected["status"], recorded.expected["answer"])
    assert (answer.status_code, in_three_days(answer)) == WAITING.get(recorded.name, expected)
    assert answer.headers["content-type"].partition(";")[0] == "application/json"


def test_whatever_waits_is_recorded() -> None:
    assert set(WAITING) <= {one.name for one in OTHERS}


def test_the_documented_updates_change_an_entry_that_was_inserted(spare: Access) -> None:
    by_name = {one.name: one for one in RECORDED}
    insert = by_name["responselog-doc__01-insert-doc-example"]
    record_id = insert.sent_to(spare).json()["id"]
    before = spare.wait_for_entry(record_id)

    for name in ("responselog-doc__04-update-doc-example", "responselog-doc__05-update-cost-only"):
        update = by_name[name]
        answer = update.sent_to(spare, body=update.body.replace("log_entry_id", record_id))
        assert (answer.status_code, answer.json()) == (200, {"id": record_id, "success": True})

    after = spare.wait_for_entry(record_id, lambda entry: entry["cost_provided"] == "0.5")
    changed = {"description": "Updated description", "cost_provided": "0.5", "cost": "0.5"}
    stamps = {"updated_at", "price_version"}
    assert without(after, stamps) == without(before, stamps) | changed
    assert after["updated_at"] > before["updated_at"]


def id_of(answer: httpx.Response) -> str:
    """The id of what was accepted, from wherever its family tells it."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return str(answer.headers.get("LLMLedger-Log-Id") or body.get("reportId") or body.get("id"))


def shown(access: Access, **params: str) -> Mapping[str, Row]:
    """The documented list by id."""
    answer = access.get("/api/v1/requests", pageSize=1000, **params)
    assert answer.status_code == 200, answer.text
    return {row["id"]: row for row in answer.json()["requests"]}


def with_id(body: Row, record_id: str) -> Row:
    return {name: record_id if value == "<id>" else value for name, value in body.items()}


def at_arrival(expected: Row, actual: Row) -> Row:
    """The expected fields, with the time of arrival in its places."""
    arrived = actual.get("ingested_at") or actual.get("createdAt")
    return {name: arrived if value == "<arrival>" else value for name, value in expected.items()}


def in_three_days(answer: httpx.Response) -> Any:
    """The answer's body, with a placeholder for a time three days ahead."""
    body = answer.json()
    if not isinstance(body, dict) or "exp" not in body:
        return body
    left = datetime.fromisoformat(body["exp"]) - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)
    return body | {"exp": "<in three days>"}


def without(row: Row, names: set[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def payloads_in(body: Row) -> list[Any]:
    """Request and reply, wherever the family has them."""
    if "metadata" in body and "request" in body:
        return [body["request"]["body"], body["response"].get("body")]
    return [
        body.get(name) or body.get(other)
        for name, other in (("reqPayload", "request_data"), ("respPayload", "response_data"))
    ]
