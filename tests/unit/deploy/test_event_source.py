"""Bytes of server-sent events → events, however they are cut into parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.event_source import Event, events_of

STREAM = (
    b'retry: 2000\nid: a\nevent: ready\ndata: {"rate": 50}\n\n'
    b": still here\nid: b\n\n"
    + 'event: request\ndata: {"text": "one\u2028two\x85three: é"}\n\n'.encode()
    + b"id: c\nevent: request\ndata: cut off"
)
FOUND = [
    Event("ready", '{"rate": 50}', "a"),
    Event("", "", "b"),
    Event("request", '{"text": "one\u2028two\x85three: é"}', "b"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_parts_may_be_cut_anywhere(cuts: list[int]) -> None:
    parts = [STREAM[start:end] for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
    assert list(events_of(parts)) == FOUND


def test_an_event_without_an_end_is_not_kept_for_ever() -> None:
    with pytest.raises(ValueError, match="longer than"):
        list(events_of((b"x" * 100 for _ in range(11)), most_bytes=1000))
