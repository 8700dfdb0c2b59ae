"""Everything that a product shows, read through its public API alone: both lists, single calls, dead letters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import httpx

from tests.faults.scenario import PROJECTS, Target

Row = Mapping[str, Any]

_PAGE = 1000
_MOST_PAGES = 2000  # a list that never ends is not readable
_SECONDS = 30.0


class Unreadable(Exception):
    """The product did not show what it was asked for."""


@dataclass(frozen=True, slots=True)
class ProjectReading:
    """One project, by its own key."""

    total: int  # totalCount
    pages: Sequence[Row]  # the documented list with types=documented, all pages
    cursor: Sequence[Row]  # our own list, to its end
    singles: Mapping[str, Row | None] = field(default_factory=dict)  # by id; None: 404
    foreign: Mapping[str, int] = field(default_factory=dict)  # ids of other projects and what asking for them gave


@dataclass(frozen=True, slots=True)
class Reading:
    """All of it. `dead` is None when the product does not tell of dead letters."""

    projects: Mapping[str, ProjectReading]
    dead: Sequence[Row] | None
    stable: bool = True  # whether the counts were the same before and after


@runtime_checkable
class Reader(Protocol):
    """Reads a product."""

    def read(self, ids: Mapping[str, Sequence[str]]) -> Reading:
        """Everything, and these ids of each project as single calls, by every project's key. Raises `Unreadable`."""

    def shows(self, project: str, record_id: str) -> bool:
        """Whether this record of the project is visible. Raises `Unreadable`."""


class ApiReader:
    """Reads a target. Any answer but the foreseen ones is `Unreadable`."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def read(self, ids: Mapping[str, Sequence[str]]) -> Reading:
        """Everything, as `Reader` says."""
        with httpx.Client(base_url=self._target.url, verify=False, timeout=_SECONDS) as client:
            asked = {project: _Asked(client, self._target.key(project)) for project in PROJECTS}
            before = {project: one.total() for project, one in asked.items()}
            projects = {project: _project(project, one, ids) for project, one in asked.items()}
            dead = _dead_letters(_Asked(client, self._target.admin_key()))
            after = {project: one.total() for project, one in asked.items()}
        same = before == after == {project: one.total for project, one in projects.items()}
        return Reading(projects, dead, same)

    def shows(self, project: str, record_id: str) -> bool:
        """Whether the single call is there."""
        with httpx.Client(base_url=self._target.url, verify=False, timeout=_SECONDS) as client:
            return _Asked(client, self._target.key(project)).single(record_id) is not None


def _project(project: str, asked: "_Asked", ids: Mapping[str, Sequence[str]]) -> ProjectReading:
    foreign = [id_ for other, of_other in ids.items() if other != project for id_ in of_other]
    return ProjectReading(
        total=asked.total(),
        pages=list(asked.pages()),
        cursor=list(asked.by_cursor()),
        singles={id_: asked.single(id_) for id_ in ids.get(project, ())},
        foreign={id_: asked.status(f"/api/v1/requests/{id_}") for id_ in foreign},
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions with one key."""

    client: httpx.Client
    key: str

    def total(self) -> int:
        found: int = self._json("/api/v1/requests", pageSize="1")["totalCount"]
        return found

    def pages(self) -> Iterator[Row]:
        """Until a page is empty: rows beyond the total would be seen."""
        for number in range(1, _MOST_PAGES):
            page = self._json("/api/v1/requests", pageNumber=str(number), pageSize=str(_PAGE), types="documented")
            if not page["requests"]:
                return
            yield from page["requests"]
        raise Unreadable(f"The list does not end after {_MOST_PAGES} pages.")

    def by_cursor(self) -> Iterator[Row]:
        cursor: str | None = ""
        for _ in range(_MOST_PAGES):
            page = self._json("/api/v1/requests", cursor=cursor or "", limit=str(_PAGE))
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
        raise Unreadable(f"The list by cursor does not end after {_MOST_PAGES} pages.")

    def single(self, id_: str) -> Row | None:
        answer = self.get(f"/api/v1/requests/{id_}")
        return None if answer.status_code == 404 else _body(answer)

    def status(self, path: str) -> int:
        return self.get(path).status_code

    def get(self, path: str, **params: str) -> httpx.Response:
        try:
            return self.client.get(path, params=params, headers={"authorization": f"Bearer {self.key}"})
        except httpx.TransportError as error:
            raise Unreadable(f"{path}: {type(error).__name__}: {error}") from error

    def _json(self, path: str, **params: str) -> Any:
        return _body(self.get(path, **params))


def _body(answer: httpx.Response) -> Any:
    if answer.status_code != 200:
        raise Unreadable(f"{answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    try:
        return answer.json()
    except ValueError as error:
        raise Unreadable(f"{answer.request.url.path}: no JSON: {answer.text[:300]}") from error


def _dead_letters(asked: _Asked) -> Sequence[Row] | None:
    """All of them; None while the product has no such page."""
    found: list[Row] = []
    params = {"limit": "1000"}
    for _ in range(_MOST_PAGES):
        answer = asked.get("/api/v1/admin/dead-letters", **params)
        if answer.status_code == 404 and not found:
            return None
        page = _body(answer)
        found += page["dead_letters"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]
    raise Unreadable(f"The dead letters do not end after {_MOST_PAGES} pages.")
