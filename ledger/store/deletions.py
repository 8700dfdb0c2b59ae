"""Deletions in the store: which rows a scope's deletion is about, and what is remembered of each. Pure statements."""

from collections.abc import Collection

from ledger.bus import Position
from ledger.deletion import Deletion, Portion, Scope, clause
from ledger.filtering.filters import ID_AS_SHOWN
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, to_int
from ledger.report import Kind
from ledger.store.columns import DELETION_COLUMNS, select_list


def matching(deletion: Deletion, portion: Portion) -> Statement:
    """The keys of the rows that a scope's deletion is about: as they stand now, and last changed before it."""
    bound = Bound()
    reach = Reach(deletion.project)
    parts = [reach.clause(bound), "is_deleted = 0", clause(deletion.scope, deletion.what, reach, bound)]
    parts.append(_before(deletion, portion, bound))
    if portion.among is not None:
        parts.append(f"id IN {bound.value([to_int(id_) for id_ in portion.among], 'Array(UInt128)')}")
    if portion.after is not None:
        time, id_ = bound.time(portion.after.created_at), bound.value(to_int(portion.after.id), "UInt128")
        parts.append(f"created_at >= {time} AND (created_at, id) > ({time}, {id_})")
    return bound.statement(
        "SELECT project, toUnixTimestamp64Milli(created_at) AS created_at_ms, id FROM request_logs FINAL"
        f" WHERE {' AND '.join(parts)} ORDER BY created_at, id LIMIT {bound.value(portion.limit, 'UInt64')}"
        f"{_SPARING if portion.sparing else ''}"
    )


_SPARING = " SETTINGS max_threads = 1, max_block_size = 1024"


def _before(deletion: Deletion, portion: Portion, bound: Bound) -> str:
    """Accepted earlier in the deletion's partition, or in a generation before it and now that partition's to change."""
    at = deletion.position
    generation, partition = bound.value(at.generation, "UInt8"), bound.value(at.partition, "UInt16")
    offset = bound.value(at.offset, "UInt64")
    earlier = f"bus_generation < {generation}"
    if portion.among is None:
        count = bound.value(portion.partitions, "UInt16")
        earlier += f" AND CRC32(concat(project, '/', {ID_AS_SHOWN})) % {count} = {partition}"
    here = f"bus_generation = {generation} AND bus_partition = {partition} AND bus_offset < {offset}"
    return f"(({here}) OR ({earlier}))"


def deleted_by(deletion: Deletion) -> Statement:
    """How many records a scope's deletion has deleted in its partition so far."""
    bound = Bound()
    at = deletion.position
    return bound.statement(
        f"SELECT uniqExact(id) FROM request_patches WHERE project = {bound.value(deletion.project, 'String')}"
        f" AND kind = {bound.value(Kind.SCOPE_DELETE.value, 'String')}"
        f" AND generation = {bound.value(at.generation, 'UInt8')} AND offset = {bound.value(at.offset, 'UInt64')}"
        f" AND partition = {bound.value(at.partition, 'UInt16')}"
    )


def of_scopes(projects: Collection[ProjectId], after: Collection[Position]) -> Statement:
    """The deletions of these projects by user or by filter, but for those that stand before all of these places."""
    bound = Bound()
    wanted = bound.value(sorted(projects), "Array(String)")
    generation = min(place.generation for place in after)
    here = [place for place in after if place.generation == generation]
    partitions = bound.value(sorted({place.partition for place in here}), "Array(UInt16)")
    oldest = bound.value(generation, "UInt8")
    later = f"partition IN {partitions} AND offset > {bound.value(min(place.offset for place in here), 'UInt64')}"
    return bound.statement(
        f"SELECT {select_list(DELETION_COLUMNS)} FROM request_deletions FINAL WHERE project IN {wanted}"
        f" AND scope != {bound.value(Scope.ID.value, 'String')}"
        f" AND (generation > {oldest} OR (generation = {oldest} AND {later}))"
    )
