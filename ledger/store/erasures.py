"""The table `request_erasures`: how far the bytes of each deletion are gone, as the process that erases notes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from clickhouse_connect.driver import Client

from ledger.ids import EventId, ProjectId, from_int, to_int
from ledger.store.clickhouse import insert
from ledger.store.columns import LABEL, TIME, each, select_list
from ledger.store.erasure import Erasable


@dataclass(frozen=True, slots=True)
class Erasure:
    """The latest that is known of the bytes of a deletion. Times are milliseconds since 1970."""

    deletion: Erasable
    written_at: int
    begun_at: int  # when it was first seen to be applied everywhere: what it took was written before
    records: int = 0  # it had taken so many then: one that comes late, by a replay, begins the erasure anew
    rewritten_at: int | None = None  # by the engine's clock: no part made since holds the bytes
    blobs_done: bool = False
    blobs_until: int | None = None  # a blob that nothing names any more is too young to be erased until then
    erased_at: int | None = None  # no part on disk holds the bytes, and no blob and no dead letter do
    old_parts: int = 0  # replaced parts that still lay on disk
    dead_letters: int = 0  # erased with it so far
    unread_dead_letters: int = 0  # kept, as nobody can say whose they are
    blobs: int = 0  # erased with it so far

    def after(self, records: int, now: int) -> "Erasure":
        """The same, begun anew if the deletion has taken more records since it was noted."""
        if records <= self.records:
            return self
        return replace(
            self, begun_at=now, records=records, rewritten_at=None, blobs_done=False, blobs_until=None, erased_at=None
        )


ERASURE_COLUMNS = (
    each("project", LABEL, lambda of: of.deletion.project),
    each("event_id", "UInt128", lambda of: to_int(of.deletion.event_id)),
    each("written_at", TIME, lambda of: of.written_at),
    each("begun_at", TIME, lambda of: of.begun_at),
    each("records", "UInt64", lambda of: of.records),
    each("rewritten_at", f"Nullable({TIME})", lambda of: of.rewritten_at),
    each("blobs_done", "Bool", lambda of: of.blobs_done),
    each("blobs_until", f"Nullable({TIME})", lambda of: of.blobs_until),
    each("erased_at", f"Nullable({TIME})", lambda of: of.erased_at),
    each("old_parts", "UInt64", lambda of: of.old_parts),
    each("dead_letters", "UInt64", lambda of: of.dead_letters),
    each("unread_dead_letters", "UInt64", lambda of: of.unread_dead_letters),
    each("blobs", "UInt64", lambda of: of.blobs),
)


def note(client: Client, erasure: Erasure) -> None:
    """Durable on return; the latest note of a deletion counts."""
    of = erasure.deletion
    insert(client, "request_erasures", ERASURE_COLUMNS, [erasure], f"{of.project}/{of.event_id}@{erasure.written_at}")


def noted(client: Client, of: Erasable) -> Erasure | None:
    """The latest note of this deletion."""
    sql = (
        f"SELECT {select_list(ERASURE_COLUMNS)} FROM request_erasures FINAL"
        " WHERE project = {project:String} AND event_id = {event:UInt128}"
    )
    found = client.query(sql, parameters=of.parameters).result_rows
    return erasure_from(found[0]) if found else None


def erasure_from(values: Sequence[Any]) -> Erasure:
    """The note whose `ERASURE_COLUMNS` were read as these values."""
    project, event_id, *rest = values
    return Erasure(Erasable(ProjectId(project), EventId(from_int(event_id))), *rest)
