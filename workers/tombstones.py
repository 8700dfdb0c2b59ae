"""What is left of a deleted record: its identity and its version. Nothing in it depends on what the record was."""

from collections.abc import Sequence

from ledger.patch import Patch
from ledger.request_log import Bodies, RequestLog, RowKey


def is_deleted(patches: Sequence[Patch]) -> bool:
    """Whether the record is gone for good, whatever comes and wherever it stands."""
    return any(patch.deletes for patch in patches)


def tombstone(key: RowKey, patches: Sequence[Patch]) -> RequestLog:
    """The row that hides every other version of the record; its place and version are still to be set."""
    deleted_at = min(patch.accepted_at for patch in patches if patch.deletes)
    return RequestLog(
        project=key.project,
        created_at=key.created_at,
        id=key.id,
        is_deleted=True,
        source="",
        ingested_at=key.created_at,
        updated_at=deleted_at,
        requested_at=key.created_at,
        bodies=Bodies(),
    )
