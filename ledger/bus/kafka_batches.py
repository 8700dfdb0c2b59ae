"""Batches that are compressed as fast as lz4 can.

The client library compresses at lz4's level 9, where it can only be switched off. Of a text of 3 KB that took 20 to 45
us, more than all else that publishing does, for a tenth less of bytes; the fastest level takes 6. So the library builds
the batch as it is, and this module replaces its records by compressed ones, as the format of batches has it
(kafka.apache.org/documentation/#recordbatch).
"""

import struct
from typing import Any

import cramjam
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from ledger.settings import KafkaSection

_MAX_BATCH_BYTES = 1024 * 1024
_LENGTH = struct.Struct(">i")  # of all that follows it
_LENGTH_AT = 8
_CRC = struct.Struct(">I")  # of all that follows it
_CRC_AT = 17
_ATTRIBUTES_AT = 21
_CODEC_AT = 22  # the lower byte of the attributes; its lowest bits are the codec
_RECORDS_AT = 61
_LZ4 = 3
_FASTEST = 1


class FastBatch(BatchBuilder):  # type: ignore[misc]
    """A batch of the client library's that compresses itself."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, 0)  # uncompressed
        self._buffer: bytearray | None

    def _build(self) -> bytearray:
        if self._buffer is None:  # a batch that is sent again is built once
            self._buffer = compressed(super()._build())  # in place of what the library has just left there
        return self._buffer


class FastProducer(AIOKafkaProducer):  # type: ignore[misc]
    """The client library's producer, with batches that compress themselves."""

    def __init__(self, max_batch_bytes: int, **options: Any) -> None:
        super().__init__(**options)
        self._max_batch_bytes = max_batch_bytes

    def create_batch(self) -> FastBatch:
        """An empty batch."""
        return FastBatch(self._max_batch_bytes)


def batch_bytes(section: KafkaSection) -> int:
    """How much a batch may hold, unless it holds a single record.

    A reader inflates whole batches, so this bounds its memory too.
    """
    return min(_MAX_BATCH_BYTES, section.max_record_bytes)


def compressed(batch: bytearray) -> bytearray:
    """The same batch with compressed records; as it is when that would not make it smaller."""
    compressor = cramjam.lz4.Compressor(level=_FASTEST, content_checksum=False, block_linked=False)
    compressor.compress(bytes(memoryview(batch)[_RECORDS_AT:]))
    records = bytes(compressor.finish())
    if len(records) >= len(batch) - _RECORDS_AT:
        return batch
    smaller = batch[:_RECORDS_AT] + records
    smaller[_CODEC_AT] |= _LZ4
    _LENGTH.pack_into(smaller, _LENGTH_AT, len(smaller) - _LENGTH_AT - _LENGTH.size)
    _CRC.pack_into(smaller, _CRC_AT, calc_crc32c(memoryview(smaller)[_ATTRIBUTES_AT:]))
    return smaller
