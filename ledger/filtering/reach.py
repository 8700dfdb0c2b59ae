"""Whose logs a request may read. Every statement begins with this clause, so that none can do without it."""

from dataclasses import dataclass

from ledger.filtering.statements import Bound
from ledger.ids import ProjectId


@dataclass(frozen=True, slots=True)
class Reach:
    """One project, or all of them (None) for a key of all projects."""

    project: ProjectId | None

    def clause(self, bound: Bound) -> str:
        """The condition on a table's column `project`."""
        return "1" if self.project is None else f"project = {bound.value(self.project, 'String')}"
