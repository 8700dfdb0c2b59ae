"""`GET /api/v1/admin/deletions`: what was deleted, and when the bytes are gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, Parameter, SkipValidation

from ledger.clock import Clock, to_milliseconds
from ledger.deletion import Scope
from ledger.errors import NotFound
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId, RecordId, belongs, created_at_ms_of, from_int, to_int
from ledger.keys import KeyRing
from ledger.store.columns import select_list
from ledger.store.erasure import DELETIONS_BY_GENERATION
from ledger.store.erasures import ERASURE_COLUMNS, Erasure, erasure_from
from query_api.admin.deletions.states import Progress, State, remaining
from query_api.admin.reaching import narrowed
from query_api.openapi import ADMIN_ERRORS, NOT_FOUND, SECURITY, PathOperation
from query_api.reading import Reader
from query_api.views import iso

MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class BusFacts:
    """What this process knows of the bus."""

    partitions: int | None  # None: it was not told where the bus is
    hours: int  # how long the bus keeps a report


class Partitions(msgspec.Struct, frozen=True):
    """How many of the partitions that it went to have applied it; `of` is null where that is not known here."""

    settled: int
    of: int | None


class DeletionStatus(msgspec.Struct, frozen=True):
    """How far one deletion is."""

    deletion: str
    project: str
    scope: str | None
    what: str | None
    accepted_at: str | None
    state: str
    records: int
    dead_letters: int
    blobs: int
    partitions: Partitions
    erased_at: str | None
    remaining: list[str]


class DeletionList(msgspec.Struct, frozen=True):
    """The latest deletions, newest first."""

    deletions: list[DeletionStatus]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store holds of one deletion."""

    project: ProjectId
    event_id: RecordId
    what: str
    records: int
    progress: Progress


class DeletionController(Controller):
    """`/api/v1/admin/deletions`."""

    path = "/api/v1/admin/deletions"

    @get(security=SECURITY, responses=dict(ADMIN_ERRORS), summary="Deletions, and how far each of them is")
    async def listing(
        self,
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        bus_facts: NamedDependency[SkipValidation[BusFacts]],
        clock: NamedDependency[SkipValidation[Clock]],
        project: Annotated[str | None, Parameter(description="With a key of all projects: of this one only.")] = None,
    ) -> DeletionList:
        """Those that the store has seen; one that still waits on the bus can be asked for by its id."""
        found = await _stored(reader, narrowed(admin_reach, project), None)
        return DeletionList([_shown(stored, clock, bus_facts) for stored in found])

    @get(
        "/{deletion:str}",
        operation_class=PathOperation,
        security=SECURITY,
        responses={**ADMIN_ERRORS, **NOT_FOUND},
        summary="How far one deletion is",
    )
    async def single(
        self,
        deletion: FromPath[str],
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        keys: NamedDependency[SkipValidation[KeyRing]],
        bus_facts: NamedDependency[SkipValidation[BusFacts]],
        clock: NamedDependency[SkipValidation[Clock]],
        project: Annotated[str | None, Parameter(description="With a key of all projects: whose it is.")] = None,
    ) -> DeletionStatus:
        """404 for an id that no deletion of these projects can have."""
        reach = narrowed(admin_reach, project)
        event_id = _event_id(deletion, reach, keys)
        found = await _stored(reader, reach, event_id)
        if found:
            return _shown(found[0], clock, bus_facts)
        if reach.project is None:
            raise NotFound  # nobody can tell whose it would be
        return _shown(_unseen(reach.project, event_id, bus_facts), clock, bus_facts)


def _event_id(text: str, reach: Reach, keys: KeyRing) -> RecordId:
    """The id, in canonical form. Of one project, its own check tells whether it can be one."""
    if reach.project is not None:
        known = keys.knows_project(reach.project)
        checked = belongs(text, keys.id_secret(reach.project)) if known else None
    else:
        checked = _canonical(text)
    if checked is None:
        raise NotFound
    return checked


def _canonical(text: str) -> RecordId | None:
    try:
        return from_int(int(text.replace("-", ""), 16)) if len(text) == 36 else None
    except ValueError:
        return None


async def _stored(reader: Reader, reach: Reach, event_id: RecordId | None) -> list[_Stored]:
    rows = await reader.rows(_deletions(reach, event_id))
    found = await reader.rows(_erasures(reach, [row[1] for row in rows])) if rows else []
    erasures = {(of.deletion.project, to_int(of.deletion.event_id)): of for of in map(erasure_from, found)}
    by_filter = any(row[2] == Scope.FILTER for row in rows)
    dead = {row[0]: int(row[1]) for row in (await reader.rows(_dead_letters(reach)) if by_filter else ())}
    return [_from(row, erasures.get((row[0], row[1])), dead.get(row[0], 0)) for row in rows]


def _from(row: Sequence[Any], erasure: Erasure | None, dead_letters: int) -> _Stored:
    project, event_id, scope, what, accepted_at, total, most, (_, _, settled, needed) = row
    by_id = scope == Scope.ID
    erasure = erasure.after(total, erasure.written_at) if erasure else None
    progress = Progress(Scope(scope), accepted_at, settled, needed, erasure, dead_letters)
    return _Stored(ProjectId(project), from_int(event_id), what, most if by_id else total, progress)


def _unseen(project: ProjectId, event_id: RecordId, facts: BusFacts) -> _Stored:
    """A deletion that the store has not seen. A plain id says when it was accepted."""
    progress = Progress(None, created_at_ms_of(event_id), 0, facts.partitions, None)
    return _Stored(project, event_id, "", 0, progress)


def _deletions(reach: Reach, event_id: RecordId | None) -> Statement:
    bound = Bound()
    where = reach.owned(bound)
    if event_id is not None:
        where += f" AND event_id = {bound.value(to_int(event_id), 'UInt128')}"
    return bound.statement(
        "SELECT project, event_id, any(scope), any(what), toUnixTimestamp64Milli(min(accepted_at) AS at), sum(total),"
        " max(most), max((settled >= needed, generation, settled, needed))"
        f" FROM ({DELETIONS_BY_GENERATION} WHERE {where} GROUP BY project, event_id, generation)"
        f" GROUP BY project, event_id ORDER BY at DESC, event_id LIMIT {MOST_LISTED}"
    )


def _erasures(reach: Reach, event_ids: Sequence[int]) -> Statement:
    bound = Bound()
    return bound.statement(
        f"SELECT {select_list(ERASURE_COLUMNS)} FROM request_erasures FINAL WHERE {reach.owned(bound)}"
        f" AND event_id IN {bound.value(list(event_ids), 'Array(UInt128)')}"
    )


def _dead_letters(reach: Reach) -> Statement:
    bound = Bound()
    return bound.statement(
        "SELECT project, uniqExact(generation, partition, offset) FROM dead_letters"
        f" WHERE {reach.owned(bound)} GROUP BY project"
    )


def _shown(of: _Stored, clock: Clock, facts: BusFacts) -> DeletionStatus:
    progress, erasure = of.progress, of.progress.erasure
    done = erasure.erased_at if erasure else None
    return DeletionStatus(
        deletion=of.event_id,
        project=of.project,
        scope=progress.scope,
        what=of.what if progress.scope else None,
        accepted_at=iso(progress.accepted_at) if progress.accepted_at is not None else None,
        state=progress.state,
        records=of.records,
        dead_letters=erasure.dead_letters if erasure else 0,
        blobs=erasure.blobs if erasure else 0,
        partitions=Partitions(progress.settled, progress.partitions),
        erased_at=iso(done) if done is not None and progress.state is State.ERASED else None,
        remaining=remaining(progress, to_milliseconds(clock()), facts.hours),
    )
