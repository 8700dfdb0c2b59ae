"""A batch that compresses itself is read as the records that were put into it, like the library's own."""

import os

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from ledger.bus.kafka_batches import FastBatch, batch_bytes
from ledger.settings import KafkaSection

_ROOM = 100_000
_LZ4 = 3

Seen = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]

RECORDS = st.lists(
    st.tuples(
        st.binary(max_size=9),
        st.binary(max_size=200) | st.integers(0, 3000).map(bytes),
        st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=2),
    ),
    min_size=1,
    max_size=20,
)


def read(built: bytes | bytearray) -> list[Seen]:
    """As a consumer reads it, which checks the sums."""
    batches = MemoryRecords(bytes(built))
    seen: list[Seen] = []
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        seen += [(at.offset, at.timestamp, at.key, at.value, tuple(at.headers)) for at in batch]
    return seen


def built(batch: BatchBuilder, records: list[tuple[bytes, bytes, list[tuple[str, bytes]]]]) -> bytearray:
    for key, body, headers in records:
        assert batch.append(timestamp=1_790_000_000_000, key=key, value=body, headers=headers) is not None
    batch._set_producer_state(7, 2, 5)
    wire: bytearray = batch._build()
    return wire


@given(RECORDS)
def test_it_is_read_as_the_batch_of_the_client_library(
    records: list[tuple[bytes, bytes, list[tuple[str, bytes]]]],
) -> None:
    fast, own = built(FastBatch(_ROOM), records), built(BatchBuilder(_ROOM, _LZ4), records)
    assert read(fast) == read(own)
    assert fast[23:61] == own[23:61]  # who sends it, and its place in the sequence
    assert len(fast) <= len(built(BatchBuilder(_ROOM, 0), records))


def test_what_compresses_is_compressed_and_what_does_not_is_sent_as_it_is() -> None:
    text, noise = b"the quick brown fox " * 500, os.urandom(10_000)
    assert len(built(FastBatch(_ROOM), [(b"key", text, [])])) < len(text) / 10
    assert noise in built(FastBatch(_ROOM), [(b"key", noise, [])])


def test_a_batch_that_is_sent_again_is_the_same() -> None:
    batch = FastBatch(_ROOM)
    first = built(batch, [(b"key", b"body" * 100, [])])
    assert batch._build() is first
    assert batch._buffer is first  # and the batch as it was before is not kept
    assert batch.size() == len(first)
    assert batch.append(timestamp=None, key=b"key", value=b"too late", headers=[]) is None


def test_a_full_batch_takes_no_more() -> None:
    batch = FastBatch(1000)
    assert batch.append(timestamp=None, key=b"key", value=bytes(5000), headers=[]) is not None  # the first one always
    assert batch.append(timestamp=None, key=b"key", value=b"", headers=[]) is None


@pytest.mark.parametrize(("record", "batch"), [(900_000, 900_000), (36 * 1024 * 1024, 1024 * 1024)])
def test_a_batch_is_no_larger_than_the_brokers_take(record: int, batch: int) -> None:
    assert batch_bytes(KafkaSection("broker:9092", max_record_bytes=record)) == batch
