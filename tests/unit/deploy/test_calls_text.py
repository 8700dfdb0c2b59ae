"""Calls as a terminal shows them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.commands.calls_text import cells, cost, json_line, latency, line
from deploy.commands.context import Failed
from deploy.commands.search import point_at
from query_api import views
from tests.support.builders import a_request_log


def a_call(**changes: Any) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(views.row(a_request_log(**changes)))
    return shown


@pytest.mark.parametrize(
    ("usd", "reason", "shown"),
    [
        (None, "no_model", "no_model"),
        (None, None, "unknown"),
        ("0", None, "$0"),
        ("0.00000006", None, "<$0.0001"),
        ("0.0001", None, "$0.00010"),
        ("0.012345", None, "$0.012"),
        ("0.5", None, "$0.50"),
        ("12.345678", None, "$12.35"),
    ],
)
def test_a_cost_has_two_significant_digits_and_an_unknown_one_is_its_reason(
    usd: str | None, reason: str | None, shown: str
) -> None:
    assert cost(usd, reason) == shown


def test_what_is_unknown_is_shown_as_unknown() -> None:
    call = a_call(duration_ms=None, input_tokens=None, status_code=None, user_id=None, cost=None, cost_reason="no_rate")
    row = cells(call)
    assert [row[name] for name in ("latency", "tokens", "status", "user", "cost")] == ["-", "?→3", "-", "-", "no_rate"]
    assert cells(a_call(status_code=None, is_error=True))["status"] == "error"


def test_latencies_have_their_unit() -> None:
    assert [latency(12.4), latency(999.0), latency(1200.0)] == ["12 ms", "999 ms", "1.20 s"]


@given(st.text())
def test_no_text_changes_the_terminals_state_or_takes_a_second_line(text: str) -> None:
    shown = line(a_call(user_id=text or None, model_requested=text or None, prompt_preview=text))
    assert shown.replace("→", "").isprintable()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_is_one_printable_line_and_says_the_same(value: object) -> None:
    text = json_line(value)
    assert text.isprintable()
    assert json.loads(text) == value


def test_the_place_of_a_complaint_is_shown_below_wide_characters_too(capsys: pytest.CaptureFixture[str]) -> None:
    point_at(Failed("http://x answered 400: q: character 3: why"), "日a) x")
    assert capsys.readouterr().err == "日a) x\n   ^\n"
    point_at(Failed("http://x answered 400: from: character"), "a")
    assert capsys.readouterr().err == ""
