"""Ids: what they carry, and who can tell whether they are genuine."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import RecordId, belongs, created_at_ms_of, from_int, is_keyed, keyed_id, plain_id, to_int

OURS = b"ours" * 8
THEIRS = b"them" * 8

times = st.integers(0, 2**48 - 1)
numbers = st.integers(0, 2**128 - 1)


@given(times)
def test_a_plain_id_is_a_uuid_of_version_7_that_carries_its_time(created_at: int) -> None:
    record_id = plain_id(created_at, OURS)
    assert (UUID(record_id).version, UUID(record_id).variant) == (7, "specified in RFC 4122")
    assert str(UUID(record_id)) == record_id
    assert created_at_ms_of(record_id) == created_at
    assert not is_keyed(record_id)


def test_plain_ids_of_one_moment_differ() -> None:
    assert len({plain_id(1_700_000_000_000, OURS) for _ in range(1000)}) == 1000


def test_plain_ids_sort_by_their_time() -> None:
    ids = [plain_id(at, OURS) for at in range(1_700_000_000_000, 1_700_000_000_100)]
    assert sorted(ids) == ids
    assert sorted(map(to_int, ids)) == [to_int(record_id) for record_id in ids]


@given(st.text())
def test_a_keyed_id_is_a_uuid_of_version_8_and_the_same_for_every_retry(key: str) -> None:
    record_id = keyed_id(key, OURS)
    assert (UUID(record_id).version, UUID(record_id).variant) == (8, "specified in RFC 4122")
    assert record_id == keyed_id(key, OURS)
    assert is_keyed(record_id)
    assert created_at_ms_of(record_id) is None


def test_keyed_ids_differ_by_key_and_by_project() -> None:
    assert len({keyed_id("a", OURS), keyed_id("b", OURS), keyed_id("a", THEIRS)}) == 3


@given(st.one_of(times.map(lambda at: plain_id(at, OURS)), st.text().map(lambda key: keyed_id(key, OURS))))
def test_an_id_belongs_to_the_project_whose_secret_made_it(record_id: RecordId) -> None:
    assert belongs(record_id, OURS) == record_id
    assert belongs(record_id, THEIRS) is None


@pytest.mark.parametrize("spell", [str.upper, lambda text: text.replace("-", ""), lambda text: f"{{{text}}}"])
def test_other_spellings_of_an_id_are_read_as_its_canonical_form(spell: Callable[[str], str]) -> None:
    record_id = plain_id(1_700_000_000_000, OURS)
    assert belongs(spell(record_id), OURS) == record_id


@given(st.integers(0, 127), times)
def test_one_changed_bit_makes_an_id_foreign(bit: int, created_at: int) -> None:
    forged = from_int(to_int(plain_id(created_at, OURS)) ^ 1 << bit)
    assert belongs(forged, OURS) is None


@given(st.text() | st.uuids().map(str))
def test_any_other_text_is_no_id_of_ours(text: str) -> None:
    assert belongs(text, OURS) is None


@given(numbers)
def test_numbers_and_ids_are_the_same_thing(number: int) -> None:
    record_id = from_int(number)
    assert to_int(record_id) == number == UUID(record_id).int
