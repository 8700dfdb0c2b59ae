"""Between our values and Kafka's records: pure, both ways, and the way in never raises.

The envelope travels in one header; further headers stand beside it. Whoever may write to the topic can write anything
there, so reading takes every record as it is and leaves the judgement to the pipeline.
"""

import zlib
from collections.abc import Sequence
from typing import Protocol

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from ledger.bus import Delivery, Position, Record
from ledger.bus.replays import delivery_at

ENVELOPE_HEADER = "llmledger"

WireHeaders = list[tuple[str, bytes]]


class WireRecord(Protocol):
    """What we read of a consumed record. Names of headers are text: the client library decodes them before us."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of this key, for every producer of ours: the one of librdkafka's partitioner `consistent`.

    The Java client's own partitioner takes murmur2, for which Python has no compiled code: 5 us a key instead of 0.1.
    """
    return zlib.crc32(key) % partitions


def wire_headers(record: Record) -> WireHeaders:
    """All headers of a record of ours, the envelope first."""
    return [(ENVELOPE_HEADER, record.envelope), *record.headers]


def wire_size(record: Record) -> int:
    """The most bytes that the record takes on the wire as a batch of its own, before compression."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.body, wire_headers(record)))


def delivery_from(record: WireRecord, generation: int) -> Delivery:
    """Any consumed record as a delivery. A null header is kept as an empty one, for the dead letters.

    A duplicate or null envelope header makes the envelope None; its values then stay among the headers.
    """
    place = Position(generation, record.partition, record.offset)
    if len(record.headers) == 1 and record.headers[0][0] == ENVELOPE_HEADER and record.headers[0][1] is not None:
        return Delivery(place, record.key, record.headers[0][1], record.value)  # nearly every record
    envelopes = [value for name, value in record.headers if name == ENVELOPE_HEADER]
    envelope = envelopes[0] if len(envelopes) == 1 else None
    beside = (pair for pair in record.headers if envelope is None or pair[0] != ENVELOPE_HEADER)
    headers = tuple((name, value if value is not None else b"") for name, value in beside)
    return delivery_at(place, record.key, envelope, record.value, headers)
