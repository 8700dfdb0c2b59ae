"""Metadata as text → text."""

from typing import Any

import pytest

from workers.metadata import first_of, merged


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("null", "null"),
        (1, "1"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (-0.0, "0"),
        (True, "true"),
        (False, "false"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([], "[]"),
    ],
)
def test_every_kind_of_value_has_its_text(value: Any, text: str) -> None:
    assert merged({"name": value}) == (("name", text),)


def test_null_and_empty_values_are_left_out_and_hide_nothing() -> None:
    assert merged({"a": None, "b": "", "c": "kept"}, {"c": None}, {"c": ""}) == (("c", "kept"),)


def test_later_layers_win_and_the_order_is_that_of_the_names() -> None:
    assert merged({"a": 1, "b": 2}, {"c": 3, "a": 4}) == (("a", "4"), ("b", "2"), ("c", "3"))


def test_nothing_makes_nothing() -> None:
    assert merged() == merged({}) == ()


def test_the_first_name_that_is_there_is_taken() -> None:
    metadata = {"sessionId": "camel", "session_id": "", "other": "x"}
    assert first_of(metadata, "session_id", "sessionId") == "camel"
    assert first_of(metadata, "trace_id") is None
