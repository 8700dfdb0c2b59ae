"""What is kept, and how the deletions for age went, in the shapes of the answers. Pure."""

import msgspec

from ledger.ids import ProjectId
from ledger.retention import DEFAULT, Policies
from ledger.store.retention import Run
from query_api.views import iso


class Kept(msgspec.Struct, frozen=True):
    """How long the calls of one project are kept, or by default."""

    project: str  # '*': the default
    days: int | None  # null: for ever
    set: bool  # for exactly this one; else it is the default's, or that of the settings
    set_at: str | None
    earliest: str | None  # calls of before are neither shown nor kept; null: all are


class DiskCap(msgspec.Struct, frozen=True):
    """What the store may take on disk before the oldest calls of all projects go."""

    max_bytes: int
    bytes: int


class LastRun(msgspec.Struct, frozen=True):
    """How the last deletion for age went."""

    begun_at: str
    finished_at: str | None
    rows: int  # in all tables and versions
    parts: int  # dropped as a whole
    blobs: int
    blobs_owed: int  # projects whose media that nothing names are still to go
    error: str | None


class Retention(msgspec.Struct, frozen=True):
    """All there is to say."""

    default: Kept
    projects: list[Kept]
    cut_before: str | None  # older calls of all projects went for the disk cap's sake
    cap: DiskCap | None  # with a key of all projects, where there is a cap
    last_run: LastRun | None  # with a key of all projects


class RetentionSet(msgspec.Struct, frozen=True):
    """What is in force now, or would be."""

    project: str
    days: int | None
    earliest: str | None
    dry_run: bool
    calls: int | None  # of a dry run: that are shown now and would be no longer, and then be deleted


def kept(project: ProjectId, policies: Policies, now: int) -> Kept:
    """What counts for this project at this moment."""
    own = policies.own(project)
    return Kept(
        project,
        policies.default_days if project == DEFAULT else policies.days_of(project),
        own is not None,
        iso(own.set_at) if own else None,
        instant(policies.retained(now).earliest(project)),
    )


def last_run(run: Run) -> LastRun:
    """A run, as it is shown."""
    return LastRun(
        iso(run.begun_at),
        instant(run.finished_at),
        run.rows,
        run.parts,
        run.blobs,
        len(run.blobs_owed),
        run.error or None,
    )


def instant(ms: int | None) -> str | None:
    """A time, where there is one."""
    return None if ms is None else iso(ms)
