"""Dead letters on a bus: the record as it was, and one header more that says why."""

import json
from dataclasses import replace

import pytest

from ledger.bus import Delivery
from ledger.bus.memory import MemoryBus
from ledger.errors import BusUnavailable
from tests.support.events import a_delivery
from workers.decoding import RejectCode, Rejected
from workers.drivers.dead_letters import DEAD_LETTER_HEADER, TopicQuarantine
from workers.quarantining import Quarantine

EVERY_BYTE = bytes(range(256))


def a_rejected(delivery: Delivery) -> Rejected:
    return Rejected(delivery, RejectCode.BODY_UNREADABLE, "Unreadable")


async def test_the_record_is_kept_as_it_was_and_says_why_it_is_dead() -> None:
    bus = MemoryBus()
    quarantine = TopicQuarantine(bus, "llmledger 1.0")
    assert isinstance(quarantine, Quarantine)
    delivery = replace(a_delivery(EVERY_BYTE, 7), headers=(("trace", EVERY_BYTE),))
    await quarantine.put([a_rejected(delivery)])
    (record,) = bus.records
    assert (record.key, record.envelope, record.body) == (delivery.key, delivery.envelope, EVERY_BYTE)
    kept, (name, reason) = record.headers
    assert (kept, name) == (("trace", EVERY_BYTE), DEAD_LETTER_HEADER)
    assert json.loads(reason) == {
        "reason": "body_unreadable",
        "detail": "Unreadable",
        "generation": 1,
        "partition": 0,
        "offset": 7,
        "code_version": "llmledger 1.0",
    }


async def test_a_record_without_anything_is_kept_too() -> None:
    bus = MemoryBus()
    nothing = replace(a_delivery(), key=None, envelope=None, body=None)
    await TopicQuarantine(bus, "v").put([a_rejected(nothing)])
    assert (bus.records[0].key, bus.records[0].envelope, bus.records[0].body) == (b"", b"", b"")


async def test_all_are_put_in_their_order() -> None:
    bus = MemoryBus()
    await TopicQuarantine(bus, "v").put([a_rejected(a_delivery(b"%d" % offset, offset)) for offset in range(5)])
    assert [record.body for record in bus.records] == [b"%d" % offset for offset in range(5)]


async def test_a_bus_that_is_away_is_said() -> None:
    with pytest.raises(BusUnavailable):
        await TopicQuarantine(MemoryBus(away=True), "v").put([a_rejected(a_delivery())])
