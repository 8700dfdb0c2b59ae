"""From the raw text of a stream to its JSON objects."""

import pytest

from workers.sse import objects_in


def objects(text: str) -> list[object]:
    return list(objects_in(text))


def test_each_event_is_one_object() -> None:
    assert objects('data: {"a":1}\n\ndata: {"a":2}\n\n') == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_of_three_ways(newline: str) -> None:
    lines = ["event: x", 'data: {"a":1}', "", 'data: {"a":2}', "", ""]
    assert objects(newline.join(lines)) == [{"a": 1}, {"a": 2}]


def test_the_last_event_needs_no_blank_line() -> None:
    assert objects('data: {"a":1}\n\ndata: {"a":2}') == [{"a": 1}, {"a": 2}]


def test_the_space_after_the_colon_is_optional() -> None:
    assert objects('data:{"a":1}\n\n') == [{"a": 1}]


def test_data_may_span_lines() -> None:
    assert objects('data: {"a":\ndata: 1}\n\n') == [{"a": 1}]


def test_events_that_lost_their_blank_lines_are_told_apart() -> None:
    assert objects('data: {"a":1}\ndata: {"a":2}\ndata: [DONE]\n') == [{"a": 1}, {"a": 2}]


def test_comments_other_fields_the_end_mark_and_a_byte_order_mark_are_no_data() -> None:
    first = '\ufeff: ping\n\nid: 7\nretry: 10\nevent: delta\ndata: {"a":1}\n: still here\n\n'
    assert objects(first + 'data: [DONE]\n\ndatax: {"a":3}\n\n') == [{"a": 1}]


def test_what_looks_like_a_line_break_inside_json_is_none() -> None:
    assert objects('data: {"a":"one\u2028two\u0085three"}\n\n') == [{"a": "one\u2028two\u0085three"}]


def test_an_event_that_was_cut_or_is_no_object_is_left_out() -> None:
    assert objects('data: {"a":1}\n\ndata: 7\n\ndata\n\ndata: null\n\ndata: {"a":') == [{"a": 1}]


def test_an_event_may_hold_several_objects() -> None:
    assert objects('data: [{"a":1}, 7, {"a":2}]\n\n') == [{"a": 1}, {"a": 2}]


def test_a_text_that_is_json_and_no_stream_counts_as_its_objects() -> None:
    assert objects('{"error": {"message": "no"}}') == [{"error": {"message": "no"}}]
    assert objects('[{"a":1},\n{"a":2}]') == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "text", ["", "\n\n\n", "hello", "data:", "data: " + "[" * 100_000, "data: 1e999", 'data: "\ud800"']
)
def test_any_other_text_holds_nothing(text: str) -> None:
    assert objects(text) == []
