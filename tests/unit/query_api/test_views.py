"""Stored rows → what is shown."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.request_log import Bodies
from query_api import views
from query_api.schemas import DocumentedRequestItem, RequestItem
from tests.support.builders import a_request_log

DOCUMENTED_KEYS = (
    *("id", "createdAt", "updatedAt", "ip", "url", "method", "status", "cached", "streamed", "user_id", "completion"),
    *("model", "openai_id", "prompt_tokens", "completion_tokens", "request_body", "response_body"),
    *("streamed_response_body", "cost"),
)


def test_both_documented_items_have_exactly_the_documented_keys() -> None:
    assert RequestItem.__struct_fields__ == DocumentedRequestItem.__struct_fields__ == DOCUMENTED_KEYS


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (None, None),
        (0, "0"),
        (1, "0.000000000001"),
        (1_500_000_000_000, "1.5"),
        (10**13, "10"),
        (2**63 - 1, "9223372.036854775807"),
    ],
)
def test_money_is_exact_decimal_text(pico: int | None, text: str | None) -> None:
    assert views.usd(pico) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_money_text_reads_back_to_the_same_amount(pico: int) -> None:
    assert Decimal(views.usd(pico) or "") * 10**12 == pico


@pytest.mark.parametrize("text", ['{"a":  1.50, "a": 2}', "[1e2]", '"x"', "null", " 12345678901234567890123 ", "true"])
def test_logged_json_is_handed_through_as_it_stands(text: str) -> None:
    shown = msgspec.json.encode({"body": views.json_value(text)})
    assert shown == b'{"body":' + text.strip().encode() + b"}"


@pytest.mark.parametrize("text", ["", "not json", "{", "[NaN]", "{} {}", "[" * 100_000])
def test_what_is_no_json_is_shown_as_text(text: str) -> None:
    assert views.json_value(text) == text


@given(st.text())
def test_whatever_was_logged_the_answer_is_json(text: str) -> None:
    item = views.listed(a_request_log(), Bodies(raw_request=text, raw_response=text, raw_stream=text))
    assert json.loads(msgspec.json.encode(item))["streamed_response_body"] == text


def test_only_stored_media_have_a_link() -> None:
    stored = {"side": "request", "kind": "data_uri", "sha256": "ab"}
    link = {"side": "response", "kind": "url", "data": "https://example.com"}
    assert views.media(json.dumps([stored, link])) == [{**stored, "href": "/api/v1/media/ab"}, link]
    assert views.media(None) == []
