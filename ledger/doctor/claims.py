"""The blob store, as far as Kafka needs it: whether it answers, and has the bodies that dead letters name."""

from collections.abc import Sequence
from functools import partial

from ledger.blobs import LookableClaims
from ledger.doctor import Finding, ok, problem
from ledger.doctor.bus import kafka_findings
from ledger.errors import LedgerError, Unavailable
from ledger.settings import KafkaSection
from ledger.store.claims import claims_of_dead_letters
from ledger.store.clickhouse import ClickHousePool

LOOKED_AT = 200
"""Of the dead letters that name a body beside them; each is one request to the blob store."""

_NOBODYS = "claims/nobody"  # asked for where there is no other: does the blob store answer at all

PART = "blob store"


async def bus_findings(section: KafkaSection, pool: ClickHousePool, claims: LookableClaims) -> list[Finding]:
    """All there is to say of Kafka and of what is kept beside it."""
    return [*await kafka_findings(section), *await claim_findings(pool, claims)]


async def claim_findings(pool: ClickHousePool, claims: LookableClaims) -> list[Finding]:
    """What is to be said of the blob store. A store of rows that is away is said elsewhere."""
    try:
        names: Sequence[str] = await pool.run(partial(claims_of_dead_letters, limit=LOOKED_AT))
    except LedgerError:
        names = []
    try:
        await claims.has_claim(_NOBODYS)
        gone = [name for name in names if not await claims.has_claim(name)]
    except Unavailable as error:
        do = "Is LLMLEDGER_BLOBS__URL right, and may it be read? Meanwhile large reports are refused (503), media fail."
        return [problem(PART, str(error), do)]
    if not gone:
        return [ok(PART, "It answers.")]
    seen = f"{len(gone)} bodies that dead letters name are gone, such as {gone[0]}."
    return [problem(PART, seen, "Put them back from a backup, then: llmledger dlq replay.")]
