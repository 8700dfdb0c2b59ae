"""Whose data an admin request acts on: the key's own project; with a key of all projects, those that it names."""

from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from query_api.errors import NotAdmin


def narrowed(reach: Reach, project: str | None) -> Reach:
    """This project alone, where one is named. Raises `NotAdmin` for a project that is out of reach."""
    if not project or project == reach.project:
        return reach
    if reach.project is not None:
        raise NotAdmin("This key acts on its own project only.")
    return Reach(ProjectId(project))
