"""How the services of a cluster are put together."""

from pathlib import Path

import pytest

from deploy.services import publisher_of
from ledger.bus import Record
from ledger.errors import BodyNotKept, BusUnavailable, Misconfigured
from ledger.report import encode
from ledger.settings import BlobsSection, KafkaSection
from tests.support.events import an_envelope

KAFKA = KafkaSection("nowhere:9092")
LARGE = Record(b"key", encode(an_envelope()), bytes(KAFKA.max_record_bytes))


async def test_ingest_starts_while_its_blob_store_is_away_and_refuses_large_bodies_alone(tmp_path: Path) -> None:
    publisher = publisher_of(KAFKA, BlobsSection((tmp_path / "not mounted" / "blobs").as_uri()))
    small = Record(b"other", b"{}", b"body")
    large, other = await publisher.publish_all([LARGE, small])
    assert (type(large), type(other)) == (BodyNotKept, BusUnavailable)  # Kafka itself is never there
    assert list(tmp_path.iterdir()) == []


def test_a_blob_store_that_can_never_be_is_said_at_the_start() -> None:
    with pytest.raises(Misconfigured, match="LLMLEDGER_BLOBS__URL"):
        publisher_of(KAFKA, BlobsSection("ftp://host/blobs"))
