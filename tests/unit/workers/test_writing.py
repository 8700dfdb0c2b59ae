"""The names of writes: the same for the same write, never the same for another one."""

from dataclasses import replace

import pytest

from ledger.bus import Delivery
from ledger.patch import KeyEntry, Patch
from tests.support.builders import a_request_log
from tests.support.events import AN_ID, a_delivery, an_entry, an_update, an_update_of, moved
from tests.support.recording import RememberingBlobs, RememberingStore
from workers.folding import Fold, FoldedRow
from workers.retrying import RetryPolicy
from workers.writing import Lease, NoLongerOurs, write

BATCH = [an_entry(), an_update_of(AN_ID, {"description": "a"}, 2)]
ROW = FoldedRow(a_request_log(), ())
PATCH = an_update({"description": "a"}, 2).patch
ENTRY = KeyEntry(PATCH.project, PATCH.id, PATCH.position, 1, "hash")


def lease(batch: list[Delivery] = BATCH) -> Lease:
    return Lease(batch, lambda: True)


def test_the_same_write_has_the_same_name() -> None:
    assert lease().token([ROW], [PATCH]) == lease(list(BATCH)).token([ROW], [replace(PATCH)])


OTHERS: list[tuple[list[Delivery], list[FoldedRow], list[Patch | KeyEntry]]] = [
    (BATCH, [], [PATCH]),
    (BATCH, [ROW], []),
    (BATCH, [ROW, ROW], [PATCH]),
    (BATCH, [FoldedRow(a_request_log(version=2), ())], [PATCH]),
    (BATCH, [FoldedRow(a_request_log(project="bank"), ())], [PATCH]),
    (BATCH, [ROW], [PATCH, replace(PATCH, position=replace(PATCH.position, offset=9))]),
    (BATCH, [ROW], [replace(PATCH, position=replace(PATCH.position, generation=2))]),
    (BATCH[:1], [ROW], [PATCH]),
    ([*BATCH[:1], moved(BATCH[1], 3)], [ROW], [PATCH]),
    ([*BATCH, a_delivery(offset=1)], [ROW], [PATCH]),
]


@pytest.mark.parametrize(("batch", "rows", "events"), OTHERS)
def test_another_write_has_another_name(
    batch: list[Delivery], rows: list[FoldedRow], events: list[Patch | KeyEntry]
) -> None:
    assert lease(batch).token(rows, events) != lease().token([ROW], [PATCH])


class PatchNames(RememberingStore):
    """Remembers the names of the writes of patches."""

    def names(self) -> list[str]:
        return [name.removeprefix("patches ") for name in self.writes if name.startswith("patches ")]

    async def insert_patches(self, patches: object, token: str) -> None:
        self.writes.append(f"patches {token}")


async def test_taking_a_patch_out_of_force_again_has_a_name_of_its_own() -> None:
    names: set[str] = set()
    for voidings in (0, 2):
        store = PatchNames(refuses=lambda _: True)
        patch = replace(PATCH, voidings=voidings)
        folded = FoldedRow(a_request_log(), (), (patch,))
        await write(Fold(rows=[folded]), lease(), store, RememberingBlobs(), RetryPolicy())
        names |= set(store.names())
    assert len(names) == 2


async def test_without_a_lease_nothing_is_written() -> None:
    store = RememberingStore()
    with pytest.raises(NoLongerOurs):
        await write(Fold(rows=[ROW]), Lease(BATCH, lambda: False), store, RememberingBlobs(), RetryPolicy())
    assert store.writes == []
