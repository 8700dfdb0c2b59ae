"""Every record on the wire becomes a delivery, and ours come back as they were."""

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Delivery, Position, Record
from ledger.bus.kafka_records import delivery_from, partition_of, wire_headers, wire_size
from ledger.ids import ProjectId, plain_id
from ledger.report import bus_key


@dataclass(frozen=True, slots=True)
class OnTheWire:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


HEADERS = st.lists(st.tuples(st.sampled_from(["llmledger", "other", ""]) | st.text(), st.none() | st.binary()))


def delivered(*headers: tuple[str, bytes | None]) -> Delivery:
    return delivery_from(OnTheWire(2, 9, b"key", b"body", headers), generation=4)


def test_a_record_of_ours_comes_back_as_it_was() -> None:
    record = Record(b"key", b"\xffenvelope", b"body", (("reason", b"\xfe"), ("empty", b"")))
    assert delivered(*wire_headers(record)) == Delivery(
        Position(4, 2, 9), record.key, record.envelope, record.body, record.headers
    )


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ((), ()),
        ((("llmledger", None),), (("llmledger", b""),)),
        ((("llmledger", b"a"), ("llmledger", b"b")), (("llmledger", b"a"), ("llmledger", b"b"))),
        ((("LLMLEDGER", b"a"),), (("LLMLEDGER", b"a"),)),
    ],
)
def test_without_a_single_envelope_there_is_none_and_nothing_is_lost(
    headers: tuple[tuple[str, bytes | None], ...], kept: tuple[tuple[str, bytes], ...]
) -> None:
    found = delivered(*headers)
    assert (found.envelope, found.headers) == (None, kept)


@given(envelope=st.none() | st.binary(), name=st.sampled_from(["llmledger", "other"]))
def test_a_lone_header_is_read_as_it_is_beside_another(envelope: bytes | None, name: str) -> None:
    beside = delivered((name, envelope), ("beside", b"it"))
    assert delivered((name, envelope)) == replace(beside, headers=beside.headers[:-1])


@given(key=st.none() | st.binary(), value=st.none() | st.binary(), headers=HEADERS)
def test_no_record_at_all_raises(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    found = delivery_from(OnTheWire(0, 1, key, value, tuple(headers)), generation=1)
    assert (found.key, found.body) == (key, value)
    assert len(found.headers) + (found.envelope is not None) == len(headers)


@given(key=st.binary(), partitions=st.integers(1, 300))
def test_every_key_has_one_of_the_partitions(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, 1) == 0


@pytest.mark.parametrize(("key", "hashed"), [(b"", 0), (b"123456789", 0xCBF43926)])  # the check value of CRC-32
def test_clients_in_other_languages_can_choose_the_same_partition(key: bytes, hashed: int) -> None:
    assert partition_of(key, 1000) == hashed % 1000


def test_the_keys_of_records_spread_over_the_partitions() -> None:
    secret = b"a secret of 32 bytes, for a test"
    keys = [bus_key(ProjectId("shop"), plain_id(1_790_000_000_000 + n, secret)) for n in range(6000)]
    shares = Counter(partition_of(key, 12) for key in keys)
    assert all(380 < shares[partition] < 620 for partition in range(12))  # 500 each, give or take five deviations


@given(key=st.binary(), envelope=st.binary(), body=st.binary())
def test_the_size_on_the_wire_is_never_underestimated(key: bytes, envelope: bytes, body: bytes) -> None:
    record = Record(key, envelope, body, (("further", b"header"),))
    batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1)
    batch.append(0, None, key, body, wire_headers(record))
    assert batch.size() <= wire_size(record)
