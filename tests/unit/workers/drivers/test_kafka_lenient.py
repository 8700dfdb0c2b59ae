"""The lenient reader reads what aiokafka's own reads, and beyond that names that are not UTF-8."""

import struct
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from workers.drivers.kafka_lenient import first_batch

AT = TopicPartition("topic", 3)
NONE, GZIP, LZ4, ZSTD = 0, 1, 3, 4

some_bytes = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=20), some_bytes), max_size=4)
records = st.lists(st.tuples(st.integers(0, 2**40), some_bytes, some_bytes, headers), min_size=1, max_size=8)


def a_batch(content: list[Any], compression: int = NONE, base_offset: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1_000_000)
    for offset, (at, key, value, named) in enumerate(content):
        builder.append(offset, timestamp=at, key=key, value=value, headers=named)
    encoded = bytearray(bytes(builder.build()))
    struct.pack_into(">q", encoded, 0, base_offset)  # what a broker sets; not part of the checksum
    return bytes(encoded)


@given(content=records, compression=st.sampled_from([NONE, GZIP, LZ4, ZSTD]), base=st.integers(0, 2**50))
def test_it_reads_what_the_library_reads(content: list[Any], compression: int, base: int) -> None:
    encoded = a_batch(content, compression, base)
    read, next_offset = first_batch(AT, encoded + b"the beginning of another batch")
    library = DefaultRecordBatch(encoded)
    for mine, theirs in zip(read, library, strict=True):
        assert (mine.offset, mine.timestamp, mine.timestamp_type) == (
            theirs.offset,
            theirs.timestamp,
            theirs.timestamp_type,
        )
        assert (mine.key, mine.value, list(mine.headers)) == (theirs.key, theirs.value, theirs.headers)
        assert (mine.topic, mine.partition) == AT
        assert mine.serialized_value_size == (-1 if theirs.value is None else len(theirs.value))
    assert next_offset == library.next_offset == base + len(content)


@given(name=st.binary(min_size=4, max_size=4))
def test_a_name_of_any_bytes_is_read_and_its_neighbours_with_it(name: bytes) -> None:
    content = [(0, b"k", b"before", []), (0, b"k", b"it", [("NAME", b"value")]), (0, None, b"after", [])]
    encoded = bytearray(a_batch(content).replace(b"NAME", name))
    struct.pack_into(">I", encoded, 17, calc_crc32c(encoded[21:]))
    read, _ = first_batch(AT, bytes(encoded))
    assert [record.value for record in read] == [b"before", b"it", b"after"]
    assert read[1].headers == ((name.decode("utf-8", "backslashreplace"), b"value"),)


def test_a_damaged_batch_is_not_read() -> None:
    encoded = bytearray(a_batch([(0, b"k", b"value", [])]))
    encoded[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        first_batch(AT, bytes(encoded))
