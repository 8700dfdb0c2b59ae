"""Reading batches that aiokafka refuses: those with a name of a header that is not UTF-8.

Anybody who may write to the topic can write such a name, and aiokafka raises in front of the whole batch. So that batch
is fetched once more and read by aiokafka's own reader in Python, with a buffer that decodes leniently; bytes that are
not UTF-8 stay visible as `\\xff`. It is slow and used for that one batch alone.
"""

import struct
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import CorruptRecordException, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.util import decode_varint_py
from aiokafka.structs import ConsumerRecord, TopicPartition

_LENGTH_AT, _MAGIC_AT, _BEFORE_LENGTH = 8, 16, 12
_WAIT_MS = 500


class _Lenient(bytearray):
    """Parts of it decode whatever they hold."""

    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return _Lenient(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:  # noqa: ARG002
        """Never raises."""
        return bytes(self).decode("utf-8", "backslashreplace")


def is_about_a_name(error: Exception) -> bool:
    """Whether aiokafka, in either of its two readers, has met a name that is not UTF-8."""
    return isinstance(error, UnicodeDecodeError) or isinstance(error.__cause__, UnicodeDecodeError)


def first_batch(at: TopicPartition, data: bytes) -> tuple[list[ConsumerRecord], int]:
    """The records of the first batch in these bytes, and the offset after it. Raises `CorruptRecordException`."""
    if data[_MAGIC_AT] < 2:
        raise CorruptRecordException(f"A batch of {at} has a format from before headers, and yet a header.")
    (length,) = struct.unpack_from(">i", data, _LENGTH_AT)
    batch = _DefaultRecordBatchPy(data[: _BEFORE_LENGTH + length])
    if not batch.validate_crc():
        raise CorruptRecordException(f"A batch of {at} is damaged.")
    if batch.is_control_batch:
        return [], batch.next_offset
    iter(batch)  # inflates it
    batch._buffer = _Lenient(batch._buffer)
    read = (batch._read_msg(decode_varint_py) for _ in range(batch._num_records))
    return [_consumer_record(at, record) for record in read], batch.next_offset


def _consumer_record(at: TopicPartition, record: Any) -> ConsumerRecord:
    key_size, value_size = (-1 if part is None else len(part) for part in (record.key, record.value))
    return ConsumerRecord(
        at.topic,
        at.partition,
        record.offset,
        record.timestamp,
        record.timestamp_type,
        record.key,
        record.value,
        record.checksum,
        key_size,
        value_size,
        tuple(record.headers),
    )


async def fetch_first_batches(client: Any, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, bytes]:
    """The batch at each of these places, as it is stored; no entry where the log ends. Raises `KafkaError`.

    A limit of one byte makes Kafka send just the first batch, whole; of one partition only, so each is asked for alone.
    """
    found = {}
    for at, offset in places.items():
        leader = client.cluster.leader_for_partition(at)
        request = FetchRequest(_WAIT_MS, 0, 1, 0, [(at.topic, [(at.partition, offset, 1)])])
        answer = await client.send(leader, request)
        ((_, ((_, code, _, *rest),)),) = answer.topics
        if code:
            raise for_code(code)()
        if rest[-1]:
            found[at] = bytes(rest[-1])
    return found
