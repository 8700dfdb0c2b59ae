"""Which blobs of a project go when records of it were erased: those that no row names any more.

Blobs are written before the rows that name them, so a young one may belong to a report that is still being stored: it
is left for a later sweep, and so is one that was written again. What is left is known from the rows alone, whatever
named the blob before: a deleted row, an update of it, or a version that an update had replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ledger.blobs import ErasableBlobs, StoredBlob
from ledger.ids import ProjectId
from ledger.store.clickhouse import ClickHousePool
from ledger.store.erasure import named_by_live_rows


@dataclass(frozen=True, slots=True)
class BlobAge:
    """Which blobs are meant, by the time of their last writing. Milliseconds since 1970."""

    ours_before: int  # what the deletion took was written before; a later blob is another report's
    old_before: int  # nobody can still be storing a report that names a blob of before


@dataclass(frozen=True, slots=True)
class Swept:
    """How many blobs were erased; when the youngest of those that were left for their age was written, if any."""

    erased: int
    youngest_left: int | None


async def sweep_blobs(pool: ClickHousePool, blobs: ErasableBlobs, project: ProjectId, age: BlobAge) -> Swept:
    """Erase what no row names any more."""
    erased, young = 0, []
    async for page in blobs.stored(project):
        ours = [blob for blob in page if blob.written_at < age.ours_before]
        for blob in await _unnamed(pool, project, ours):
            written_at = await blobs.written_at(project, blob.sha256)  # again: a report may have brought it meanwhile
            if written_at is None or written_at >= age.ours_before:
                continue
            if written_at >= age.old_before:
                young.append(written_at)
                continue
            await blobs.delete(project, blob.sha256)
            erased += 1
    return Swept(erased, max(young, default=None))


async def _unnamed(pool: ClickHousePool, project: ProjectId, page: Sequence[StoredBlob]) -> list[StoredBlob]:
    if not page:
        return []
    hashes = [blob.sha256 for blob in page]
    named = await pool.run(partial(named_by_live_rows, project=project, hashes=hashes))
    return [blob for blob in page if blob.sha256 not in named]
