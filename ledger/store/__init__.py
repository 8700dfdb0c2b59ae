"""The store: where rows are. The port that workers write through, and the failures they sort by.

Every write names a token of its chunk: a store that remembers it may skip a repeated write, none has to. What carries
exactly once is the row's identity and version.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from ledger.bus import Position
from ledger.deletion import Deletion, Portion
from ledger.errors import LedgerError, StoreUnavailable
from ledger.ids import ProjectId, RecordId
from ledger.patch import KeyEntry, Patch
from ledger.request_log import RequestLog, RowKey

Identity = tuple[ProjectId, RecordId]

__all__ = ["DataRefused", "Identity", "RequestLogStore", "StoreBroken", "StoreOverstrained", "StoreUnavailable"]


class DataRefused(LedgerError):
    """The store refused the data themselves: the same rows will be refused again."""


class StoreOverstrained(StoreUnavailable):
    """The statement needs more memory or time than the store gives it now: a smaller one may get through."""


class StoreBroken(LedgerError):
    """The store answered something that neither waiting nor other rows will change: an operator is needed."""


@runtime_checkable
class RequestLogStore(Protocol):
    """What workers need of the store. Every method raises `StoreUnavailable`, `DataRefused` or `StoreBroken`."""

    async def key_entries(self, of: Collection[Identity]) -> list[KeyEntry]:
        """All stored entries of these ids, in order of position."""

    async def patches(self, of: Collection[Identity]) -> list[Patch]:
        """All stored patches of these ids, in order of position."""

    async def rows(self, keys: Collection[RowKey], *, with_bodies: bool) -> list[RequestLog]:
        """The current row of each key that has one; deleted rows are not returned."""

    async def scope_deletions(self, of: Collection[ProjectId], after: Collection[Position]) -> list[Deletion]:
        """The deletions of these projects by user or by filter, in order of position.

        All that stand after one of these places in its partition, or in a later generation; others may be among them.
        """

    async def matching(self, deletion: Deletion, portion: Portion) -> list[RowKey]:
        """The rows that a scope's deletion is about: they match now, and nothing after it has changed them."""

    async def deleted_by(self, deletion: Deletion) -> int:
        """How many records a scope's deletion has deleted at its position so far."""

    async def insert_deletions(self, items: Sequence[Deletion], token: str) -> None:
        """Of copies of one that which is further counts. Durable on return."""

    async def insert_key_entries(self, entries: Sequence[KeyEntry], token: str) -> None:
        """Durable on return."""

    async def insert_patches(self, patches: Sequence[Patch], token: str) -> None:
        """Durable on return."""

    async def insert_bodies(self, rows: Sequence[RequestLog], token: str) -> None:
        """The heavy columns of these rows; durable on return."""

    async def insert_rows(self, rows: Sequence[RequestLog], token: str) -> None:
        """The light columns of these rows, after which they are listed; durable on return."""

    async def insert_progress(self, settled: Sequence[Position]) -> None:
        """Everything up to these positions can be read: one per partition. Durable on return."""

    async def ping(self) -> None:
        """Return if the store answers."""
