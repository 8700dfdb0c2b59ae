"""What OpenPipe reports say: times, statuses, and tags as texts."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.dialects import NotAnObject, Unreadable, openpipe


def fields(**values: Any) -> dict[str, msgspec.Raw]:
    return openpipe.fields_of(msgspec.json.encode(values))


def test_an_empty_body_is_an_empty_report() -> None:
    assert openpipe.fields_of(b"") == {}


@pytest.mark.parametrize(("body", "error"), [(b" ", Unreadable), (b"[]", NotAnObject), (b"{", Unreadable)])
def test_any_other_body_must_be_an_object(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        openpipe.fields_of(body)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (0, 0),
        (-1.5, -1.5),
        ("123", 123.0),
        (" +1.5e3 ", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e999", float("inf")),
    ],
)
def test_numbers_and_numeric_texts_are_numbers(value: Any, number: float | None) -> None:
    assert openpipe.number_of(value) == number


@pytest.mark.parametrize("value", ["abc", "1_000", "0x10", "Infinity", "nan", "1 2", "\u0661", True, [], {}])
def test_nothing_else_is_a_number(value: Any) -> None:
    with pytest.raises(openpipe.NotANumber):
        openpipe.number_of(value)


def test_times_are_milliseconds_whatever_their_unit() -> None:
    report = fields(requestedAt=1726000000, receivedAt="1726000000250")
    assert openpipe.requested_at_ms(report) == 1726000000000
    assert openpipe.received_at_ms(report) == 1726000000250
    assert openpipe.requested_at_ms({}) is None
    assert openpipe.received_at_ms(fields(receivedAt="1e999")) is None


@pytest.mark.parametrize(
    ("value", "status"),
    [(200, 200), ("404", 404), (200.0, 200), (200.5, None), (None, None), (0, 0), (2**31, None), ("1e999", None)],
)
def test_a_status_is_a_whole_number_that_fits_or_unknown(value: Any, status: int | None) -> None:
    assert openpipe.status_code(fields(statusCode=value)) == status


def test_tags_become_texts_and_metadata_lies_on_top() -> None:
    report = fields(
        tags={"a b": "x", "n": 1, "f": 2.50, "t": True, "z": None, "e": "", "null": "null", "$sdk.version": "1"},
        metadata={"n": "two", "t": None},
    )
    expected = {"a_b": "x", "n": "two", "f": "2.5", "t": "true", "null": "null", "$sdk.version": "1"}
    assert openpipe.tags_of(report) == expected


@pytest.mark.parametrize("value", [None, 5, "text", [1]])
def test_what_is_no_object_has_no_tags(value: Any) -> None:
    assert openpipe.text_map(value) == {}


def test_objects_and_arrays_become_their_json() -> None:
    assert openpipe.metadata_text({"b": [1, None]}) == '{"b":[1,null]}'
    assert openpipe.metadata_text([]) == "[]"
    assert openpipe.metadata_text(False) == "false"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-2.50, "-2.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (100, "100"),
        (9007199254740993, "9007199254740993"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    assert openpipe.number_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_can_be_read_back_from_its_text(number: float) -> None:
    assert float(openpipe.number_text(number)) == number


@given(st.text())
def test_a_name_is_stored_under_the_same_name_however_often_it_is_made(name: str) -> None:
    once = openpipe.tag_name(name)
    assert openpipe.tag_name(once) == once
    assert len(once) == len(name)
