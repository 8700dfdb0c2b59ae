"""Cursors come back as they went, and nothing else passes for one."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import ProjectId, from_int
from ledger.instants import LATEST_STORED_MS
from ledger.request_log import RowKey
from query_api import cursors
from query_api.errors import BadParameter

KEYS = st.builds(
    RowKey,
    project=st.text(max_size=20).map(ProjectId),
    created_at=st.integers(0, LATEST_STORED_MS),
    id=st.integers(0, 2**128 - 1).map(from_int),
)


@given(KEYS)
def test_a_cursor_names_the_row_it_was_made_of(key: RowKey) -> None:
    text = cursors.encode(key)
    assert cursors.decode(text) == key
    assert text.isascii()
    assert not set(text) & set("+/=&?#% ")


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: urlsafe_b64encode(data).decode()))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match=r"^cursor: "):
        cursors.decode(text)


@pytest.mark.parametrize(
    "content",
    [
        b'[2,0,"00000000000000000000000000000000","shop"]',
        b'[1,-1,"00000000000000000000000000000000","shop"]',
        b'[1,9999999999999999,"00000000000000000000000000000000","shop"]',
        b'[1,0,"0","shop"]',
        b'[1,0,"00000000000000000000000000000000"]',
        b'[1,0,"00000000000000000000000000000000","shop",1]',
        b'[1,0.5,"00000000000000000000000000000000","shop"]',
    ],
)
def test_a_cursor_out_of_range_is_refused(content: bytes) -> None:
    with pytest.raises(BadParameter, match=r"^cursor: "):
        cursors.decode(urlsafe_b64encode(content).decode())


def test_a_cursor_of_endless_length_is_refused() -> None:
    with pytest.raises(BadParameter, match=r"^cursor: "):
        cursors.decode("A" * 100_000)
