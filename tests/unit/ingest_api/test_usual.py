"""The quick way of judging a body says what the thorough one says, of whatever body."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api import log_entries, openpipe, pezzo, usual
from ingest_api.errors import InvalidFields
from ledger.dialects.pezzo import Calculated
from ledger.errors import LedgerError
from ledger.json_text import check_json_text
from tests.unit.ingest_api.service import a_pezzo_report, as_json

Text = st.SearchStrategy[str]  # of JSON

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
ANYTHING = VALUES.map(json.dumps)


# Numbers and text as `json.dumps` would never write them.
RAW_NUMBERS = ["1E+3", "2e2", "200.0", "-0", "-0.0", "1e-400", "1e400", f"0.1{'0' * 40}1", "9" * 40, f"1{'0' * 400}"]
RAW_TEXTS = [r'"us\u0061ge"', r'"\u0000"', r'"\ud83d\ude00"', r'"\/"', r'"OpenA\u0049"', r'"2026-01-01T00:00:00\u005a"']
RAW = st.sampled_from([*RAW_NUMBERS, *RAW_TEXTS])
BLANKS = st.sampled_from(["", "", "", " ", "\t\r\n"])


def mostly(good: Sequence[object], odd: Sequence[object] = ()) -> Text:
    """Mostly one of the good ones, sometimes an odd one, or anything: so that most bodies have one thing wrong."""
    choices = {7: st.sampled_from(odd or good).map(json.dumps), 8: ANYTHING, 9: RAW}
    usual_one = st.sampled_from(good).map(json.dumps)
    return st.integers(0, 19).flatmap(lambda roll: choices.get(roll, usual_one))


def written(name: str) -> Text:
    """The name as JSON, now and then with its first character escaped."""
    escaped = f'"\\u{ord(name[0]):04x}{name[1:]}"'
    return st.sampled_from([json.dumps(name)] * 5 + [escaped])


def objects(fields: Mapping[str, Text], *, needed: bool = False) -> Text:
    """JSON objects of these fields: not all of them, or all, some twice, and unknown ones beside them."""
    one_of = [st.tuples(written(name), value) for name, value in fields.items()]
    some = st.lists(st.one_of(*one_of, st.tuples(st.text(max_size=3).map(json.dumps), ANYTHING)), max_size=5)
    first = st.tuples(*one_of).map(list) if needed else st.just([])
    return st.tuples(first, some, BLANKS).map(lambda drawn: _object([*drawn[0], *drawn[1]], drawn[2]))


def _object(pairs: list[tuple[str, str]], blank: str) -> str:
    members = ",".join(f"{blank}{name}{blank}:{blank}{value}{blank}" for name, value in pairs)
    return f"{blank}{{{members}}}{blank}"


NUMBERS = mostly([0, 1, -1, 1767225600000, 1767225600.5, 200, 2**40, None], ["17", "1e3", " ", "x", True])
NUMBERS |= st.sampled_from(RAW_NUMBERS)
TEXTS = mostly(["", "text", "gr\u00fcn", None], [7])
ANY_OBJECTS = mostly([{}, {"a": 1}, {"a": {"b": []}}], [None, [], "text"])
TAGS = objects({"a": mostly(["x", 1, None, True], [[1], {}])})
TIMES = mostly(["2026-01-01T00:00:00Z", "2026-01-01T00:00:01.500+02:00", "2026-01-01"], ["1600-01-01", "soon", 5, None])
COUNTS = objects(dict.fromkeys(("prompt_tokens", "completion_tokens", "input_tokens"), NUMBERS))

REPORTS = objects(
    {
        **dict.fromkeys(("requestedAt", "receivedAt", "statusCode"), NUMBERS),
        "errorMessage": TEXTS,
        **dict.fromkeys(("tags", "metadata"), TAGS),
        **dict.fromkeys(("reqPayload", "respPayload"), ANYTHING),
    }
)
WORDS = dict.fromkeys(("client", "clientVersion", "environment"), mostly(["x", ""], [None, 1]))
ABOUT = objects({"provider": mostly(["OpenAI", "openai", "AZURE"], ["Other", ""]), **WORDS}, needed=True)
REPLY = objects({"usage": COUNTS})
PEZZO_REPORTS = objects(
    {
        "metadata": ABOUT,
        "request": objects({"timestamp": TIMES, "body": ANY_OBJECTS}, needed=True),
        "response": objects({"timestamp": TIMES, "body": REPLY | ANY_OBJECTS, "status": NUMBERS}, needed=True),
        "properties": ANY_OBJECTS,
        "cacheEnabled": mostly([True, False, None], [1, "no"]),
    },
    needed=True,
)
FIGURES = mostly([0, 0.5, 12, 1e-320, None], [1e12, 1e13, 9_200_000, 9_200_001, -1, "1"])
ENTRIES = objects(
    {
        "model": mostly(["gpt-4o"], ["", None]),
        **dict.fromkeys(("duration", "cost"), FIGURES),
        "initiator": TEXTS,
        **dict.fromkeys(("request_data", "response_data", "metadata"), ANY_OBJECTS),
        "media": mostly([None], [{}, {"request": [{"type": "image", "data": "https://x"}]}, {"request": [1]}]),
    },
    needed=True,
)
UPDATES = objects({"id": mostly(["an id"], [""]), "update_data": ENTRIES | ANY_OBJECTS}, needed=True)


def told(judge: Callable[[bytes], Any], body: bytes) -> object:
    """What the judge says of a body that is JSON text: its result, or its complaint."""
    try:
        check_json_text(body)
        return judge(body)
    except InvalidFields as error:
        return type(error), error.problems
    except LedgerError as error:
        return type(error), str(error)


@given(REPORTS)
def test_a_report_of_openpipe_is_judged_alike(text: str) -> None:
    body = text.encode()
    assert told(openpipe.judge_report, body) == told(openpipe.judge_fields, body)


@given(PEZZO_REPORTS)
def test_a_report_of_pezzo_is_judged_alike(text: str) -> None:
    body = text.encode()
    assert told(pezzo.judge_report, body) == told(pezzo.judge_fields, body)


@given(ENTRIES)
@example('{"model": ""}')
def test_a_log_entry_is_judged_alike(text: str) -> None:
    body = text.encode()
    assert told(log_entries.judge_insert, body) == told(log_entries.judge_fields, body)


@given(UPDATES)
@example('{"id": "an id", "update_data": {"model": ""}}')
def test_an_update_is_judged_alike(text: str) -> None:
    body = text.encode()
    assert told(log_entries.judge_update, body) == told(log_entries.judge_update_fields, body)


def test_bodies_as_clients_send_them_are_usual() -> None:
    report = {"requestedAt": 1767225600000, "statusCode": 200, "tags": {"a": "x"}, "reqPayload": {"model": "m"}}
    entry = {"model": "m", "duration": 1.5, "cost": 0.1, "request_data": {}, "metadata": {"a": [1]}}
    read: list[object] = [usual.report(as_json(report)), usual.pezzo_report(as_json(a_pezzo_report()))]
    read += [usual.log_entry(as_json(entry)), usual.log_update(as_json({"id": "x", "update_data": entry}))]
    assert None not in read
    assert usual.report(as_json(report | {"requestedAt": "1767225600000"})) is None


def test_what_a_usual_report_of_pezzo_costs_and_took_is_told() -> None:
    usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    body = as_json(a_pezzo_report(response={"timestamp": "2026-01-01T00:00:01.500Z", "body": usage}))
    assert usual.pezzo_report(body) is not None
    assert pezzo.judge_report(body) == pezzo.JudgedReport(1767225600000, Calculated(1500, 3, 4, 7))


@pytest.mark.parametrize("read", [usual.report, usual.pezzo_report, usual.log_entry, usual.log_update])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000])
def test_what_is_no_such_body_is_left_to_the_thorough_judge(read: Callable[[bytes], object], body: bytes) -> None:
    assert read(body) is None
