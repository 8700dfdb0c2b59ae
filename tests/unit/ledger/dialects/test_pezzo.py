"""What Pezzo reports say: their two parts, times, statuses and the figures of the answer."""

from typing import Any

import msgspec
import pytest

from ledger.dialects import cut, pezzo
from ledger.dialects.pezzo import Calculated


def parts(request: Any, response: Any) -> tuple[dict[str, msgspec.Raw], dict[str, msgspec.Raw]]:
    report = cut(msgspec.json.encode({"request": request, "response": response}))
    return pezzo.part_of(report, "request"), pezzo.part_of(report, "response")


def test_a_part_keeps_every_key_and_an_absent_one_has_none() -> None:
    request, response = parts({"timestamp": "t", "other": 1}, None)
    assert set(request) == {"timestamp", "other"}
    assert response == {} == pezzo.part_of({}, "response")


@pytest.mark.parametrize(
    ("timestamp", "ms"),
    [
        ("2024-01-01T00:00:01.500Z", 1704067201500),
        ("2024-01-01T00:00:01.500", 1704067201500),
        ("2024-01-01T02:00:00+02:00", 1704067200000),
        ("soon", None),
        ("1950-01-01", None),
        (5, None),
        (None, None),
    ],
)
def test_times_are_utc_milliseconds(timestamp: Any, ms: int | None) -> None:
    request, _ = parts({"timestamp": timestamp}, {})
    assert pezzo.timestamp_ms(request) == ms


@pytest.mark.parametrize(("status", "expected"), [(200, 200), ("404", 404), (None, None)])
def test_the_status_is_a_number_or_numeric_text(status: Any, expected: int | None) -> None:
    _, response = parts({}, {"status": status})
    assert pezzo.status_code(response) == expected


def figures(body: Any) -> Calculated:
    return pezzo.calculated_of(*parts({"timestamp": "2024-01-01"}, {"timestamp": "2024-01-02", "body": body}))


def test_the_sum_of_tokens_is_ours() -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 1000}
    assert figures({"usage": usage}) == Calculated(86_400_000, 11, 7, 18)


def test_what_went_through_a_cache_is_part_of_the_prompt() -> None:
    usage = {
        "input_tokens": 504,
        "cache_creation_input_tokens": 123,
        "cache_read_input_tokens": 1000,
        "output_tokens": 1,
    }
    assert figures({"usage": usage}) == Calculated(86_400_000, 1627, 1, 1628)


def test_names_of_openai_are_inclusive_already() -> None:
    usage = {"prompt_tokens": 10, "cache_read_input_tokens": 4, "completion_tokens": 1}
    assert figures({"usage": usage}).promptTokens == 10


@pytest.mark.parametrize("body", [None, {}, {"usage": None}, {"usage": []}, {"usage": {"prompt_tokens": True}}])
def test_unknown_tokens_stay_unknown(body: Any) -> None:
    assert figures(body) == Calculated(86_400_000, None, None, None)


def test_a_reply_before_its_request_has_no_duration() -> None:
    assert pezzo.calculated_of(*parts({"timestamp": "2024-01-02"}, {"timestamp": "2024-01-01"})).duration is None
