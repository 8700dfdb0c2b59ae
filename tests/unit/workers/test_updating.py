"""One effective update of a record: which value each field gets, and what follows from it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from ledger.patch import Patch
from ledger.report import Kind
from ledger.request_log import CostStatus, RequestLog
from tests.support.builders import A_TIME
from tests.support.events import a_report, an_update
from workers.deriving import Derived
from workers.pricing import with_cost
from workers.updating import apply, blobs_of, merge, needs_bodies

AN_IMAGE = {"type": "image", "data": "AAAA"}
A_LINK = {"type": "image", "data": "https://x/y"}
REPLY = {"id": "r2", "model": "gpt-4o-2024", "usage": {"prompt_tokens": 7, "completion_tokens": 1}}


def price(derived: Derived) -> RequestLog:
    """One pico-USD per token that was read."""
    return with_cost(msgspec.structs.replace(derived.row, cost_computed=derived.row.input_tokens))


def a_row(**fields: Any) -> RequestLog:
    return a_report({"model": "gpt-4o", **fields}, kind=Kind.LOG_INSERT, price=price).row


def patches(*updates: dict[str, Any]) -> list[Patch]:
    return [an_update(fields, offset=2 + at).patch for at, fields in enumerate(updates)]


def updated(row: RequestLog, of: Sequence[Patch]) -> RequestLog:
    return apply(row, merge(of), price)


def test_each_field_gets_the_value_of_the_highest_patch_that_gives_one() -> None:
    row = updated(
        a_row(description="0", initiator="u0", duration=1),
        patches({"description": "1", "initiator": "u1"}, {"description": "2"}, {"initiator": None}),
    )
    assert (row.description, row.user_id, row.duration_ms) == ("2", "u1", 1000.0)


@pytest.mark.parametrize(
    ("fields", "column", "value"),
    [
        ({"duration": 2.5}, "duration_ms", 2500.0),
        ({"initiator": "u"}, "user_id", "u"),
        ({"description": ""}, "description", ""),
        ({"metadata": {"b": 2}}, "metadata", (("b", "2"),)),
        ({"metadata": {}}, "metadata", ()),
        ({"metadata": {"session_id": "s"}}, "session_id", "s"),
        ({"metadata": {"env": "e"}}, "environment", "e"),
        ({"cost": 0.5}, "cost_provided", 500_000_000_000),
        ({"cost": 0.5}, "cost", 500_000_000_000),
        ({"cost": 0.5}, "cost_status", CostStatus.PROVIDED),
        ({"model": "claude-3"}, "model_requested", "claude-3"),
        ({"model": "claude-3"}, "provider", "anthropic"),
        ({"response_data": REPLY}, "input_tokens", 7),
        ({"response_data": REPLY}, "cost", 7),
        ({"response_data": {"error": {"message": "no"}}}, "is_error", True),
        ({"response_data": {"error": {"message": "no"}}}, "error", "no"),
        ({"request_data": {"stream": True}}, "streamed", True),
        ({"request_data": {"prompt": "p"}}, "prompt_preview", "p"),
    ],
)
def test_a_field_replaces_its_column_whole(fields: dict[str, Any], column: str, value: Any) -> None:
    row = updated(a_row(metadata={"a": 1, "sessionId": "old"}), patches(fields))
    assert getattr(row, column) == value
    assert row.updated_at == A_TIME + 5


@pytest.mark.parametrize("fields", [{}, {"description": None}, {"unknown": 1}, {"media": None}, {"media": {"x": []}}])
def test_an_update_that_gives_nothing_changes_nothing(fields: dict[str, Any]) -> None:
    row = a_row(description="kept", media={"request": [AN_IMAGE]})
    assert updated(row, patches(fields)) is row


def test_bodies_are_replaced_byte_for_byte() -> None:
    row = updated(a_row(response_data={"a": 1}), patches({"request_data": {"n": 1}, "response_data": REPLY}))
    assert row.bodies is not None
    assert row.bodies.raw_request is not None
    assert json.loads(row.bodies.raw_request) == {"n": 1}
    assert row.provider_response_id == "r2"


def test_what_is_derived_from_the_old_reply_goes_with_it() -> None:
    row = updated(a_row(response_data={**REPLY, "error": {"message": "no"}}), patches({"response_data": {}}))
    assert (row.input_tokens, row.provider_response_id, row.model_served) == (None, None, None)
    assert (row.is_error, row.error, row.cost) == (False, None, None)


def test_a_record_is_priced_again_by_the_version_of_the_patch_that_changed_its_price() -> None:
    row = a_row(response_data=REPLY)
    first, second, third = patches({"model": "other"}, {"cost": 1}, {"description": "d"})
    versions = [replace(patch, price_version=f"v{at}") for at, patch in enumerate((first, second, third))]
    assert updated(row, versions).price_version == "v0"
    assert updated(row, versions[1:]).price_version == row.price_version


def test_an_update_is_dated_by_the_highest_patch_that_gave_a_field() -> None:
    first, second, third = patches({"description": "a"}, {"initiator": "u"}, {"initiator": None})
    dated = [replace(patch, accepted_at=A_TIME + at) for patch, at in ((first, 100), (second, 50), (third, 200))]
    assert updated(a_row(), dated).updated_at == A_TIME + 50


def test_each_side_of_the_media_is_replaced_on_its_own() -> None:
    row = a_row(media={"request": [AN_IMAGE], "response": [A_LINK]})
    changed = updated(row, patches({"media": {"response": [AN_IMAGE, {"type": "image", "data": "BBBB"}]}}))
    assert changed.bodies is not None
    assert changed.bodies.media is not None
    assert [item["side"] for item in json.loads(changed.bodies.media)] == ["request", "response", "response"]
    assert changed.media_hashes == (sha256(bytes(3)).hexdigest(), sha256(b"\x04\x10\x41").hexdigest())
    emptied = updated(row, patches({"media": {"response": [], "request": []}}))
    assert emptied.bodies is not None
    assert (emptied.bodies.media, emptied.media_hashes) == (None, ())


def test_media_can_come_to_a_row_that_had_none() -> None:
    row = msgspec.structs.replace(a_row(), bodies=None)
    changed = updated(row, patches({"media": {"request": [A_LINK]}}))
    assert changed.bodies is not None
    assert changed.bodies.media is not None
    assert changed.media_hashes == ()


def test_the_blobs_of_an_update_are_those_that_its_row_will_name() -> None:
    merged = merge(patches({"media": {"request": [AN_IMAGE]}}, {"media": {"request": [A_LINK]}}))
    assert blobs_of(merged) == []
    merged = merge(patches({"media": {"request": [A_LINK]}}, {"media": {"request": [AN_IMAGE]}}))
    assert [blob.data for blob in blobs_of(merged)] == [bytes(3)]


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"description": "d", "cost": 1, "metadata": {}}, False),
        ({"model": "m"}, True),
        ({"response_data": {}}, True),
        ({"media": {"request": []}}, True),
        ({"media": {"request": None}}, False),
    ],
)
def test_the_heavy_columns_are_needed_only_where_a_field_is_in_them(fields: dict[str, Any], needed: bool) -> None:
    assert needs_bodies(merge(patches(fields))) is needed


def test_a_retry_of_an_update_counts_once_at_its_first_place() -> None:
    first, between, again = patches({"description": "a"}, {"description": "b"}, {"description": "a"})
    again = replace(again, event_id=first.event_id)
    assert updated(a_row(), [first, between, again]).description == "b"


def test_a_voided_patch_changes_nothing_and_a_restored_one_does() -> None:
    first, second = patches({"description": "a"}, {"description": "b"})
    assert updated(a_row(), [first, replace(second, voidings=1)]).description == "a"
    assert updated(a_row(), [first, replace(second, voidings=2)]).description == "b"


def test_applying_twice_changes_nothing() -> None:
    of = patches({"metadata": {"a": 1}, "media": {"request": [AN_IMAGE]}}, {"response_data": REPLY, "cost": 1})
    once = updated(a_row(), of)
    assert updated(once, of) == once


def test_an_update_of_another_apis_report_keeps_what_that_api_said() -> None:
    report = {"statusCode": 500, "errorMessage": "said", "reqPayload": {"model": "anthropic/claude", "stream": True}}
    row = a_report(report, price=price).row
    changed = updated(row, patches({"model": "gpt-4o", "response_data": REPLY}))
    assert (changed.error, changed.is_error, changed.streamed, changed.status_code) == ("said", True, True, 500)
    assert (changed.provider, changed.model_requested, changed.input_tokens) == ("anthropic", "gpt-4o", 7)
