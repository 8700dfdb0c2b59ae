"""Whose logs a request may read, and from when on. Every statement begins with this, so that none can do without it."""

from dataclasses import dataclass

from ledger.filtering.retained import EVERYTHING, Retained
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId


@dataclass(frozen=True, slots=True)
class Reach:
    """One project, or all of them (None) for a key of all projects; of their calls those that are kept."""

    project: ProjectId | None
    retained: Retained = EVERYTHING

    @property
    def earliest(self) -> int | None:
        """From when on (milliseconds since 1970) everything within reach is kept; None where there is no such bound.

        Over all projects there is none either where they differ: then only `clause` says what is kept.
        """
        return self.retained.of_all() if self.project is None else self.retained.earliest(self.project)

    def clause(self, bound: Bound) -> str:
        """The condition on a table of calls, by its columns `project` and `created_at`: within reach and kept."""
        parts = [self.owned(bound), self.kept(bound)]
        return " AND ".join(part for part in parts if part != "1") or "1"

    def owned(self, bound: Bound) -> str:
        """The condition on any table's column `project` alone: for what is not deleted for its age."""
        return "1" if self.project is None else f"project = {bound.value(self.project, 'String')}"

    def kept(self, bound: Bound) -> str:
        """The condition on `created_at`; `1` where everything is kept."""
        return self.retained.condition(bound, lambda ms: f"created_at >= {bound.time(ms)}", project=self.project)

    def narrowed(self, project: ProjectId) -> "Reach":
        """The same for one of the projects."""
        return Reach(project, self.retained)
