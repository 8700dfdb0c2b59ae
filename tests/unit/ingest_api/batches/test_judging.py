"""Whether one item can be accepted, and what is said when it cannot."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.batches.judging import ItemJudge, NotJson, Sound, _told
from ingest_api.batches.kinds import JUDGES
from ingest_api.batches.problems import MAX_ISSUES, Issue, Problem
from ledger.json_text import readable
from tests.unit.ingest_api.service import a_pezzo_report, as_json

JUDGE = ItemJudge(max_body_bytes=10_000)
GOOD: dict[str, Any] = {
    "openpipe.report": {"reqPayload": {"model": "m"}},
    "openpipe.report-anthropic": {"reqPayload": {"model": "m"}},
    "pezzo.request": a_pezzo_report(),
    "log.insert": {"model": "m"},
    "log.update": {"id": "any text", "update_data": {}},
}


def verdict(item: Any) -> Sound | Problem:
    """On bytes as they are, on all else as JSON."""
    return JUDGE.verdict(memoryview(item if isinstance(item, bytes) else as_json(item)))


def refused(item: Any) -> Problem:
    found = verdict(item)
    assert isinstance(found, Problem), found
    assert not found.retry
    return found


def sound(item: Any) -> Sound:
    found = verdict(item)
    assert isinstance(found, Sound), found
    return found


@pytest.mark.parametrize("kind", sorted(JUDGES))
def test_a_good_body_of_each_kind_is_sound_and_kept_byte_for_byte(kind: str) -> None:
    body = json.dumps(GOOD[kind], indent=1).encode()
    found = sound(b'{"kind": "' + kind.encode() + b'", "body":  ' + body + b' , "idempotency_key": " k "}\r')
    assert (found.body, found.idempotency_key) == (body, "k")


@pytest.mark.parametrize("key", [{}, {"idempotency_key": None}])
def test_an_item_need_not_have_a_key(key: dict[str, None]) -> None:
    assert sound({"kind": "log.insert", "body": {"model": "m"}} | key).idempotency_key is None


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ä", "a\nb"])
def test_a_key_that_is_none_is_the_items_own_error(key: str) -> None:
    found = refused({"kind": "log.insert", "body": {"model": "m"}, "idempotency_key": key})
    assert found.message.startswith("Idempotency-Key must be 1 to 255")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (b"rubbish", "not JSON"),
        (b"\x00", "not JSON"),
        (b'{"kind":"log.insert","body":{"model":"m"}', "not JSON"),
        (b'{"kind":"log.insert","body":{"model":NaN}}', "not JSON"),
        (b'{"kind":"log.insert","body":{}} {}', "not JSON"),
        (b'{"kind":"\xff","body":{}}', "not JSON"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b'{"kind":"log.insert"}', "missing required field `body`"),
        (b'{"body":{}}', "missing required field `kind`"),
        (b'{"kind":1,"body":{}}', "Expected `str`, got `int` - at `$.kind`"),
        (b'{"kind":"log.insert","body":{},"idempotencyKey":"k"}', "unknown field `idempotencyKey`"),
        (b'{"kind":"record.delete","body":{}}', "There is no kind 'record.delete'. Use one of: openpipe.report, "),
        (b'{"kind":"","body":{}}', "There is no kind ''"),
        (b'{"kind":"log.insert","body":{"model":"\xff"}}', "not UTF-8"),
        (b'{"kind":"log.insert","body":{"model":"m","x":1e999}}', "out of range"),
        (b'{"kind":"log.insert","body":{"model":"m","x":' + b"[" * 65 + b"]" * 65 + b"}}", "nested deeper than 64"),
        (b'{"kind":"log.insert","body":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"kind":"log.insert","body":[]}', "must be a JSON object"),
    ],
)
def test_what_cannot_be_accepted_is_told_why(item: bytes, message: str) -> None:
    found = refused(item)
    assert found.code == "invalid"
    assert message in found.message


@pytest.mark.parametrize("kind", sorted(JUDGES))
@pytest.mark.parametrize("body", [b"1", b"null", b'""', b"[]"])
def test_a_body_of_another_type_is_refused_by_every_kind(kind: str, body: bytes) -> None:
    refused(b'{"kind":"' + kind.encode() + b'","body":' + body + b"}")


def test_a_body_is_as_large_as_one_that_is_sent_alone_and_no_larger() -> None:
    frame = len(as_json({"model": ""}))
    sound({"kind": "log.insert", "body": {"model": "m" * (10_000 - frame)}})
    assert refused({"kind": "log.insert", "body": {"model": "m" * (10_001 - frame)}}).code == "too_large"


@pytest.mark.parametrize("text", [b"x", b"\\ud83d ", b'","model":1,"', b'"'])
def test_what_is_larger_than_an_item_can_be_is_not_looked_at(text: bytes) -> None:
    item = b'{"kind":"log.insert","body":{"model":"' + text * 20_000 + b'"}}'
    tracemalloc.start()
    try:
        assert refused(item).message == "The item is larger than 14096 bytes."
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def test_too_large_a_body_is_not_cut_out() -> None:
    item = b'{"kind":"log.insert","body":{"model":"' + b"x" * 13_000 + b'"}}'
    tracemalloc.start()
    try:
        assert refused(item).message == "The body is larger than 10000 bytes."
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def test_of_a_name_that_is_there_twice_the_last_one_counts() -> None:
    first, last = b'{"model":"a","x":"\\ud83d"}', b'{"model":"b","x":"\\ud83d"}'
    text = b'{"kind":"no","body":%s,"body":%s,"kind":"log.insert"}' % (first, last)
    assert sound(text).body == last


ESCAPES = ["\\ud83d", "\\uDBFF", "\\udc00", "\\uDFFF", "\\u0041", "\\\\", "\\n", "u", "d83d", "a"]
SOUPS = st.lists(st.sampled_from(ESCAPES), max_size=6).map(lambda parts: "".join(parts).encode())


@given(SOUPS, SOUPS)
def test_whatever_is_read_at_once_has_no_half_of_a_character(name: bytes, value: bytes) -> None:
    body = b'{"model":"m","%s":"%s"}' % (name, value)
    item = b'{"kind":"log.insert","body":%s}' % body
    found = sound(item)
    assert found.body == body
    if readable(body) != body:
        with pytest.raises(NotJson):
            _told(item)


@pytest.mark.parametrize(
    ("kind", "body", "issues"),
    [
        (
            "openpipe.report",
            {"requestedAt": {}, "tags": {"a": [1]}},
            [
                Issue("requestedAt: Expected number, received object", ["requestedAt"]),
                Issue("tags.a: Invalid input", ["tags", "a"]),
            ],
        ),
        ("openpipe.report-anthropic", {"tags": 1}, [Issue("tags: Expected object, received number", ["tags"])]),
        ("pezzo.request", a_pezzo_report(request=1, cacheHit=3), None),
        ("log.insert", {"model": ""}, [Issue("model must be a non-empty string")]),
        ("log.update", {"id": "x"}, [Issue("update_data must be an object")]),
    ],
)
def test_what_is_wrong_with_a_body_is_told_in_one_shape(kind: str, body: Any, issues: list[Issue] | None) -> None:
    found = refused({"kind": kind, "body": body})
    if issues is None:
        issues = [Issue("request must be an object"), Issue("cacheHit must be a boolean value")]
    assert found.issues == issues
    whole = "Some fields of the body are not what they must be."
    assert found.message == (issues[0].message if len(issues) == 1 else whole)


def test_of_many_issues_the_first_ones_are_told_and_their_names_are_cut() -> None:
    found = refused({"kind": "openpipe.report", "body": {"tags": {f"{number}{'x' * 200}": [] for number in range(30)}}})
    assert found.issues is not None
    assert len(found.issues) == MAX_ISSUES
    for number, issue in enumerate(found.issues):
        assert issue.path == ["tags", f"{number}{'x' * 99}"]
        assert issue.message == f"tags.{number}{'x' * 99}: Invalid input"


def test_a_message_is_cut_however_long_a_name_was() -> None:
    assert len(refused({"kind": "log.insert", "body": {}, "x" * 5000: 1}).message) == 300
