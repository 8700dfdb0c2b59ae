"""Records that only Kafka can carry: nulls, headers twice, headers that are no text; and the batches that hold them.

Every batch is a pill between two good reports: what is wrong with one record must not touch its neighbours, also where
the client library refuses the whole batch.
"""

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from ledger.bus import Position
from ledger.bus.kafka_records import ENVELOPE_HEADER
from ledger.ids import RecordId, plain_id
from tests.faults import bodies
from tests.faults.bodies import Prepared
from tests.faults.pills import pills, valid_envelope
from tests.faults.sent import Dead

_NO_TEXT, _IN_ITS_PLACE = b"\xff\xfe\xff\xfe", "NAME"
_MAX_BATCH_BYTES = 8 * 1024 * 1024
_BINARY = (("", b""), ("\u2028 binary", bytes(range(256))), ("llmledger-accepted-at", b"\xff"), ("null", None))

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Wire:
    """A record as it is sent, and what the ledger says of it."""

    prepared: Prepared
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def kafka_pills() -> Mapping[str, tuple[bytes | None, bytes | None, Headers]]:
    """By name: key, value and headers."""
    envelope = valid_envelope(plain_id(0, b"of nobody's project, 32 bytes.  "))
    given = (ENVELOPE_HEADER, envelope)
    return {
        "kafka-nothing-at-all": (None, None, ()),
        "kafka-no-headers": (b"key", b"{}", ()),
        "kafka-key-null": (None, b"{}", ((ENVELOPE_HEADER, b"no JSON"),)),
        "kafka-value-null": (b"key", None, ((ENVELOPE_HEADER, b"{}"),)),
        "kafka-envelope-null": (b"key", b"{}", ((ENVELOPE_HEADER, None),)),
        "kafka-envelope-twice": (b"key", b"{}", (given, given)),
        "kafka-envelope-and-null": (b"key", b"{}", (given, (ENVELOPE_HEADER, None))),
        "kafka-envelope-binary": (b"key", b"{}", ((ENVELOPE_HEADER, bytes(range(256))),)),
        "kafka-headers-binary": (b"\xff\x00", b"no JSON", (given, *_BINARY)),
        "kafka-headers-many": (b"key", b"no JSON", (given, *((f"h{n}", b"x") for n in range(5000)))),
        "kafka-name-no-text": (b"key", b"{}", ((_IN_ITS_PLACE, b"value"),)),
        "kafka-name-no-text-enveloped": (b"key", b"no JSON", (given, (_IN_ITS_PLACE, b"value"))),
        "kafka-replays-no-number": (b"key", b"no JSON", (given, ("llmledger-replays", b"\xff"))),
    }


def all_pills(turn: str) -> Iterator[Wire]:
    """Every pill of the corpus and Kafka's own, as records of Kafka."""
    for name, (envelope, value) in pills().items():
        headers = ((ENVELOPE_HEADER, envelope), *_BINARY)
        yield Wire(_must_die(f"{name}/{turn}"), b"alpha/any", value, headers)
    for name, (key, body, given) in kafka_pills().items():
        yield Wire(_must_die(f"{name}/{turn}"), key, body, given)


def good(tag: str, secret: bytes, random: Random) -> Wire:
    """A log entry as the API would put it there, with headers that nobody knows."""
    now = int(time.time() * 1000)
    id_: RecordId = plain_id(now, secret)
    made = bodies.report("log", tag, random)
    prepared = Prepared("log", tag, made.body, made.body_sha, made.expects, id_)
    envelope = valid_envelope(id_, accepted_at=now, created_at=now)
    return Wire(prepared, f"alpha/{id_}".encode(), made.body, ((ENVELOPE_HEADER, envelope), *_BINARY[:2]))


def _must_die(tag: str) -> Prepared:
    return Prepared("openpipe", tag, b"", "", {"dead": Dead.MUST})


@dataclass(slots=True)
class Batches:
    """Sends hand-made batches, compressed, but for those with a name that is no text; remembers every place."""

    bootstrap_servers: str
    topic: str
    generation: int
    places: dict[str, str] = field(default_factory=dict)  # by tag

    async def send(self, batches: Sequence[tuple[int, Sequence[Wire]]]) -> None:
        """Each of these, to its partition. Raises what the client library raises."""
        async with self._producer("zstd") as zstd, self._producer(None) as plain:
            for partition, records in batches:
                strange = any(_has_name_that_is_no_text(one) for one in records)
                await self._send_one(plain if strange else zstd, partition, records, strange=strange)

    async def _send_one(self, producer: Any, partition: int, records: Sequence[Wire], *, strange: bool) -> None:
        batch = producer.create_batch()
        for one in records:
            if batch.append(timestamp=None, key=one.key, value=one.value, headers=list(one.headers)) is None:
                raise ValueError(f"{one.prepared.tag} does not fit into its batch")
        ready = _with_a_name_that_is_no_text(batch) if strange else batch
        written = await (await producer.send_batch(ready, self.topic, partition=partition))
        for number, one in enumerate(records):
            self.places[one.prepared.tag] = Position(self.generation, partition, written.offset + number).text

    def _producer(self, compression: str | None) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            compression_type=compression,
            acks="all",
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=_MAX_BATCH_BYTES,
        )


def _has_name_that_is_no_text(record: Wire) -> bool:
    return any(name == _IN_ITS_PLACE for name, _ in record.headers)


def _with_a_name_that_is_no_text(batch: Any) -> Any:
    """The batch with the bytes of that name replaced, as another client could send it."""
    encoded = bytearray(bytes(batch._build()).replace(_IN_ITS_PLACE.encode(), _NO_TEXT))
    struct.pack_into(">I", encoded, 17, calc_crc32c(encoded[21:]))
    batch._buffer = encoded
    return batch
