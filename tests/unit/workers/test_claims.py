"""Claims of a batch: whose bodies are fetched, how many at a time, and what happens when they are away or gone."""

import logging
from dataclasses import replace

import pytest

from ledger.bus import Delivery
from ledger.bus.claims import new_name
from ledger.ids import ProjectId
from ledger.report import CLAIM_VERSION, Claim, Kind, encode
from tests.support.builders import A_TIME, an_id
from tests.support.claiming import RememberingClaims
from tests.support.events import a_delivery, an_envelope
from tests.support.remembering_worker import AT_ONCE, Worker, price
from workers.claims import FETCHED_AT_ONCE, MAX_FETCHED_BYTES, with_claims
from workers.decoding import RejectCode
from workers.pipeline import Deps, process
from workers.receipts import Receipt
from workers.retrying import RetryPolicy


@pytest.fixture
def claims() -> RememberingClaims:
    return RememberingClaims()


def a_claim(claims: RememberingClaims, offset: int, body: bytes = b"{}", *, size: int | None = None) -> Delivery:
    """A delivery without a body, which is among the claims. `size` is what the envelope says of it."""
    record_id = an_id(A_TIME, offset)
    name = new_name(an_envelope(record_id=record_id))
    claims.bodies[name] = body
    claim = Claim(name, len(body) if size is None else size)
    return a_delivery(b"", offset, record_id=record_id, version=CLAIM_VERSION, blob=claim)


async def test_a_batch_without_claims_stays_as_it_is(claims: RememberingClaims) -> None:
    batch = [a_delivery(offset=1), a_delivery(b"", offset=2), replace(a_delivery(b""), envelope=None)]
    assert await with_claims(batch, claims, AT_ONCE) is batch
    assert await with_claims([], claims, AT_ONCE) == []


async def test_what_a_claim_names_is_brought_and_nothing_else_changes(claims: RememberingClaims) -> None:
    batch = [a_delivery(offset=1), a_claim(claims, 2, b"two"), a_delivery(offset=3), a_claim(claims, 4, b"four")]
    part = await with_claims(batch, claims, AT_ONCE)
    assert [delivery.claimed for delivery in part] == [None, b"two", None, b"four"]
    assert [replace(delivery, claimed=None) for delivery in part] == batch


async def test_where_the_bus_takes_any_size_nothing_is_looked_for(claims: RememberingClaims) -> None:
    batch = [a_claim(claims, 1)]
    assert await with_claims(batch, None, AT_ONCE) is batch


async def test_a_blob_store_that_is_away_is_waited_for(claims: RememberingClaims) -> None:
    waits: list[None] = []
    batch = [a_claim(claims, 1, b"there")]
    claims.away_for = 5
    (found,) = await with_claims(batch, claims, RetryPolicy(base_delay=0.0, before_wait=lambda: waits.append(None)))
    assert found.claimed == b"there"
    assert len(waits) == 5


async def test_a_claim_that_is_gone_leaves_its_record_without_a_body(
    claims: RememberingClaims, caplog: pytest.LogCaptureFixture
) -> None:
    batch = [a_claim(claims, 1), a_claim(claims, 2, b"there")]
    del claims.bodies[next(iter(claims.bodies))]
    with caplog.at_level(logging.WARNING):
        part = await with_claims(batch, claims, AT_ONCE)
    assert [delivery.claimed for delivery in part] == [None, b"there"]
    assert "A claim is gone." in caplog.text


async def test_no_more_is_fetched_than_fits_and_the_rest_of_the_batch_waits(claims: RememberingClaims) -> None:
    half = MAX_FETCHED_BYTES // 2
    batch = [
        a_delivery(offset=1),
        a_claim(claims, 2, size=half),
        a_claim(claims, 3, size=half),
        a_delivery(offset=4),
        a_claim(claims, 5, size=1),
        a_delivery(offset=6),
    ]
    part = await with_claims(batch, claims, AT_ONCE)
    assert [delivery.position.offset for delivery in part] == [1, 2, 3, 4]
    assert len(claims.fetched) == 2
    rest = await with_claims(batch[4:], claims, AT_ONCE)
    assert [delivery.position.offset for delivery in rest] == [5, 6]


async def test_what_has_its_body_already_is_not_fetched_again_and_counts(claims: RememberingClaims) -> None:
    half = MAX_FETCHED_BYTES // 2
    batch = [
        replace(a_claim(claims, 1, size=half), claimed=b"1"),
        a_claim(claims, 2, b"2", size=half),
        a_claim(claims, 3, size=1),
    ]
    part = await with_claims(batch, claims, AT_ONCE)
    assert [delivery.claimed for delivery in part] == [b"1", b"2"]
    assert len(claims.fetched) == 1


async def test_claims_behind_the_end_of_a_chunk_are_fetched_once(claims: RememberingClaims) -> None:
    worker = Worker()
    deps = Deps(worker.store, worker.blobs, worker.quarantine, price, retry=AT_ONCE, claims=claims)
    deletions = [a_delivery({"user_id": f"u{at}"}, at, kind=Kind.SCOPE_DELETE) for at in (1, 2, 3)]
    await process(deps, [*deletions, a_claim(claims, 4), a_claim(claims, 5)])
    assert len(claims.fetched) == len(set(claims.fetched)) == 2


async def test_several_are_fetched_at_once_but_not_all_of_them(claims: RememberingClaims) -> None:
    batch = [a_claim(claims, offset, b"%d" % offset) for offset in range(5 * FETCHED_AT_ONCE)]
    part = await with_claims(batch, claims, AT_ONCE)
    assert [delivery.claimed for delivery in part] == [b"%d" % offset for offset in range(5 * FETCHED_AT_ONCE)]
    assert claims.most_fetched_at_once == FETCHED_AT_ONCE


async def test_a_claim_that_is_too_large_alone_is_fetched_all_the_same(claims: RememberingClaims) -> None:
    batch = [a_delivery(offset=1), a_claim(claims, 2, size=2**60), a_claim(claims, 3)]
    part = await with_claims(batch, claims, AT_ONCE)
    assert [delivery.position.offset for delivery in part] == [1, 2]
    assert part[1].claimed == b"{}"


async def test_what_a_batch_claims_is_stored_with_the_rest_and_what_is_gone_is_a_dead_letter(
    claims: RememberingClaims,
) -> None:
    worker = Worker()
    deps = Deps(worker.store, worker.blobs, worker.quarantine, price, retry=AT_ONCE, claims=claims)
    batch = [a_delivery(offset=1), a_claim(claims, 2, b'{"reqPayload":{"model":"gpt-4o"}}'), a_claim(claims, 3)]
    del claims.bodies[list(claims.bodies)[-1]]
    assert await process(deps, batch) == Receipt(stored=2, quarantined=1, resume_at={0: 4})
    assert {row.model_requested for row in worker.store.visible().values()} == {"gpt-4o", None}
    assert worker.dead == {3: RejectCode.CLAIM_MISSING}


NAME = new_name(an_envelope(project=ProjectId("bank")))


@pytest.mark.parametrize(
    "envelope",
    [
        b'{"blob"',
        encode(an_envelope(blob=NAME)),
        encode(an_envelope(blob=Claim(NAME, 2))),
        encode(an_envelope(blob=Claim("media/73686f70/00", 2))),
        encode(an_envelope(blob=Claim("claims/73686f70/../../62616e6b/00", 2))),
        encode(an_envelope(version=99, blob=Claim(NAME, 2))),
    ],
)
async def test_what_names_no_claim_of_its_own_project_gets_no_body(claims: RememberingClaims, envelope: bytes) -> None:
    claims.bodies[NAME] = b"of another project"
    batch = [replace(a_delivery(b""), envelope=envelope)]
    assert await with_claims(batch, claims, AT_ONCE) is batch
    assert claims.fetched == []


async def test_a_record_with_a_body_of_its_own_names_no_claim(claims: RememberingClaims) -> None:
    batch = [replace(a_claim(claims, 1), body=b"{}")]
    assert await with_claims(batch, claims, AT_ONCE) is batch
    assert claims.fetched == []
