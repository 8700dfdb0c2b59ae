"""Two projects, every reading endpoint, whatever is asked: a key sees its own project and nothing of the other.

`LLMLEDGER_TEST_EXAMPLES` says how many questions are asked (by default a few; 50000 take hours).
"""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.bus import Position
from ledger.clock import to_milliseconds
from ledger.request_log import RequestLog
from query_api import routes
from tests.support.chdb_fixtures import fresh_database, with_schema
from tests.support.listing_model import SORTS
from tests.support.listing_strategies import FILTERS, RULES, TEXTS_STORED, WORDS, many_rows
from tests.support.query_service import A_NOW, QueryService, query_service

EXAMPLES = settings(
    max_examples=int(os.environ.get("LLMLEDGER_TEST_EXAMPLES", "40")),
    deadline=None,
    phases=[Phase.generate],
    print_blob=True,
)
HASHES = {"shop": "1" * 64, "bank": "2" * 64}
SECRET = {"shop": "only-of-shop", "bank": "only-of-bank"}
OTHER = {"shop": "bank", "bank": "shop"}
ACCEPTED = Position(1, 0, 7)


@dataclass(frozen=True, slots=True)
class TwoProjects:
    """A service whose rows all name their project where a search or a filter might find it."""

    service: QueryService
    ids: dict[str, list[str]]
    cursors: dict[str, list[str]]

    def key(self, project: str) -> str:
        """The project's key."""
        return {"shop": self.service.keys.shop, "bank": self.service.keys.bank}[project]

    async def ask(self, project: str, path: str, query: dict[str, str]) -> httpx.Response:
        """What this project's key is answered."""
        return await self.service.get(path, self.key(project), **query)


def marked(log: RequestLog) -> RequestLog:
    """The row with its project's secret in every text that is shown."""
    secret = SECRET[log.project]
    assert log.bodies is not None
    bodies = replace(log.bodies, prompt=f"{log.bodies.prompt} {secret}", raw_request=json.dumps({"said": secret}))
    return replace(
        log,
        bodies=bodies,
        metadata=(*log.metadata, ("owner", secret)),
        provider_response_id=f"{log.provider_response_id or ''}{secret}",
        media_hashes=(HASHES[log.project],),
        ingested_at=to_milliseconds(A_NOW) - 1000,
        position=ACCEPTED,
    )


@pytest.fixture(scope="module")
def projects(chdb_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoProjects]:
    """A fixed set of rows of two projects."""
    logs = [marked(log) for log in many_rows(60, seed=7)]
    with (
        fresh_database(chdb_engine) as dsn,
        query_service(with_schema(dsn), tmp_path_factory.mktemp("keys")) as service,
    ):
        asyncio.run(service.add(*logs))
        asyncio.run(service.store.insert_progress([ACCEPTED]))
        for log in logs:
            service.blobs.stored[log.project, HASHES[log.project]] = SECRET[log.project].encode()
        yield asyncio.run(_with_cursors(service, logs))


async def _with_cursors(service: QueryService, logs: list[RequestLog]) -> TwoProjects:
    ids = {name: [str(log.id) for log in logs if log.project == name] for name in SECRET}
    two = TwoProjects(service, ids, {name: [] for name in SECRET})
    for name in SECRET:
        for limit in ("1", "5"):
            answer = await two.ask(name, "/api/v1/requests", {"cursor": "", "limit": limit})
            two.cursors[name].append(answer.json()["next_cursor"])
    return two


ANY_PROJECT = st.sampled_from(sorted(SECRET))
LISTS = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(["ann", "a%_b", "Bob", "o'neil\\"]),
        "search": WORDS.filter(bool) | st.sampled_from([*SECRET.values(), "only-of", "a"]),
        "filter": (FILTERS | RULES.map(lambda rule: {"combinator": "or", "rules": [rule], "not": True})).map(json.dumps)
        | st.sampled_from(
            [
                json.dumps({"project": "bank"}),
                json.dumps({"combinator": "and", "rules": [{"field": "project", "operator": "=", "value": "bank"}]}),
                json.dumps({"combinator": "or", "rules": [{"field": "id", "operator": "notNull"}]}),
                json.dumps(
                    {"combinator": "or", "rules": [{"field": "x-metadata-owner", "operator": "notNull", "value": ""}]}
                ),
            ]
        ),
        "project": st.sampled_from(["shop", "bank", "*"]),
    },
)
NUMBERED = st.fixed_dictionaries(
    {"pageSize": st.just("100")},
    optional={
        "sortBy": st.sampled_from(sorted(SORTS)),
        "sortOrder": st.sampled_from(["asc", "desc"]),
        "types": st.sampled_from(["real", "documented"]),
    },
)


def shows_only(project: str, answer: httpx.Response) -> None:
    """Fail for a byte of the other project, unless the caller wrote it into the question and got a 4xx."""
    assert answer.status_code in {200, 304, 400, 404, 422}, answer.text
    if answer.status_code in {200, 304}:
        assert SECRET[OTHER[project]] not in answer.text
        assert HASHES[OTHER[project]] not in answer.text


@EXAMPLES
@given(project=ANY_PROJECT, conditions=LISTS, page=NUMBERED)
async def test_numbered_lists_show_the_keys_own_project_only(
    projects: TwoProjects, project: str, conditions: dict[str, str], page: dict[str, str]
) -> None:
    answer = await projects.ask(project, "/api/v1/requests", conditions | page)
    shows_only(project, answer)
    if answer.status_code == 200:
        content = answer.json()
        assert {item["id"] for item in content["requests"]} <= set(projects.ids[project])
        assert content["totalCount"] <= len(projects.ids[project])


@EXAMPLES
@given(project=ANY_PROJECT, conditions=LISTS, whose=ANY_PROJECT, data=st.data())
async def test_cursor_lists_show_the_keys_own_project_only_with_anyones_cursor(
    projects: TwoProjects, project: str, conditions: dict[str, str], whose: str, data: st.DataObject
) -> None:
    cursor = data.draw(st.sampled_from(["", *projects.cursors[whose]]))
    answer = await projects.ask(project, "/api/v1/requests", conditions | {"cursor": cursor, "limit": "1000"})
    shows_only(project, answer)
    if answer.status_code == 200:
        assert {row["id"] for row in answer.json()["data"]} <= set(projects.ids[project])


@EXAMPLES
@given(project=ANY_PROJECT, conditions=LISTS, whose=ANY_PROJECT, data=st.data())
async def test_exports_hold_the_keys_own_project_only_from_anyones_place_on(
    projects: TwoProjects, project: str, conditions: dict[str, str], whose: str, data: st.DataObject
) -> None:
    start = data.draw(
        st.builds(lambda text: {"cursor": text}, st.sampled_from(projects.cursors[whose]))
        | st.builds(lambda text: {"after_id": text}, st.sampled_from(projects.ids[whose]))
        | st.just({})
    )
    asked = conditions | start | {"format": "ndjson", "bodies": data.draw(st.sampled_from(["true", "false"]))}
    answer = await projects.ask(project, "/api/v1/requests/export", asked)
    shows_only(project, answer)
    if answer.status_code == 200:
        assert {json.loads(line)["id"] for line in answer.text.split("\n")[:-1]} <= set(projects.ids[project])


TAIL = "/api/v1/requests/tail"
TAILED = {"from": "2026-01-01", "rate": "500"}
CONDITIONS_OF_TAILS = ({"search": "only-of"}, {"q": "only-of-shop OR only-of-bank"}, {"project": "*"})


def rows_in(events: str) -> set[str]:
    """The ids of the calls among these events."""
    blocks = [block.partition("\ndata: ") for block in events.split("\n\n")]
    return {json.loads(data)["id"] for head, _, data in blocks if head.endswith("event: request")}


def last_id_in(events: str) -> str:
    """Where to go on after these events."""
    return [line.removeprefix("id: ") for line in events.split("\n") if line.startswith("id: ")][-1]


async def tailed(projects: TwoProjects, project: str, query: dict[str, str]) -> str:
    """What a tail sends in a second."""
    answer = await projects.ask(project, TAIL, TAILED | query | {"seconds": "1"})
    assert answer.status_code == 200, answer.text
    shows_only(project, answer)
    assert rows_in(answer.text) <= set(projects.ids[project])
    return answer.text


async def tailed_to_the_end(projects: TwoProjects, project: str, query: dict[str, str]) -> None:
    """Return once every call of the project was sent, however often the tail has to be gone on with."""
    listed = await projects.ask(project, "/api/v1/requests", {"pageSize": "100"})
    left = {item["id"] for item in listed.json()["requests"]}
    assert len(left) > 10
    async with asyncio.timeout(60):
        while left:
            sent = await tailed(projects, project, query)
            left -= rows_in(sent)
            query = {"last_event_id": last_id_in(sent)}


async def tailed_in_every_way(projects: TwoProjects, project: str) -> None:
    """From a beginning of its own, from where the other project's began, and under conditions."""
    others = (await projects.ask(OTHER[project], TAIL, TAILED | {"seconds": "0"})).text
    await asyncio.gather(
        tailed_to_the_end(projects, project, {}),
        tailed_to_the_end(projects, project, {"last_event_id": last_id_in(others)}),
        *(tailed(projects, project, conditions) for conditions in CONDITIONS_OF_TAILS),
    )


async def test_tails_send_the_keys_own_project_only(projects: TwoProjects) -> None:
    await asyncio.gather(*(tailed_in_every_way(projects, project) for project in sorted(SECRET)))


STATISTICS = ("requests/stats", "requests/histogram", "requests/facets", "models/unpriced")
OF_ALL_TIMES = {"from": "2026-01-01", "to": "2026-12-31"}


@EXAMPLES
@given(project=ANY_PROJECT, conditions=LISTS, path=st.sampled_from(STATISTICS))
async def test_statistics_count_the_keys_own_project_only(
    projects: TwoProjects, project: str, conditions: dict[str, str], path: str
) -> None:
    dimensions = {"group_by": "project,metadata.owner", "fields": "project,user,metadata.owner"}
    answer = await projects.ask(project, f"/api/v1/{path}", conditions | dimensions | OF_ALL_TIMES)
    shows_only(project, answer)
    if answer.status_code == 200:
        content = answer.json()
        assert OTHER[project] not in json.dumps(content.get("facets", content.get("data")))
        counted = content.get("requests", content.get("calls", content.get("total", {}).get("requests")))
        listed = await projects.ask(project, "/api/v1/requests", conditions | {"pageSize": "0"})
        most = listed.json()["totalCount"]
        assert counted == most if path != "models/unpriced" else counted <= most


@EXAMPLES
@given(project=ANY_PROJECT, whose=ANY_PROJECT, data=st.data())
async def test_a_single_call_is_found_by_its_own_project_only(
    projects: TwoProjects, project: str, whose: str, data: st.DataObject
) -> None:
    id_ = data.draw(st.sampled_from(projects.ids[whose]))
    answer = await projects.ask(
        project, f"/api/v1/requests/{id_}", data.draw(st.sampled_from([{}, {"project": whose}]))
    )
    shows_only(project, answer)
    if project != whose:
        assert answer.status_code == 404


@pytest.mark.parametrize("project", sorted(SECRET))
@pytest.mark.parametrize("whose", sorted(SECRET))
async def test_media_are_given_to_their_own_project_only(projects: TwoProjects, project: str, whose: str) -> None:
    async with projects.service.http() as client:
        for known in ({}, {"If-None-Match": f'"{HASHES[whose]}"'}):
            headers = {"Authorization": projects.key(project), **known}
            answer = await client.get(f"/api/v1/media/{HASHES[whose]}", headers=headers)
            assert answer.status_code == (404 if project != whose else 304 if known else 200)
            shows_only(project, answer)


ASKED_HERE = {
    "/api/v1/requests",
    "/api/v1/requests/{record_id}",
    "/api/v1/requests/export",
    TAIL,
    *(f"/api/v1/{path}" for path in STATISTICS),
    "/api/v1/media/{sha256}",
}
WITHOUT_DATA_OF_PROJECTS = {"/api/v1/status"}
"""Positions on the bus and how far they are settled: no row, no text, no id."""


def test_every_reading_endpoint_is_asked_here() -> None:
    reading = {path for method, path in routes.ROUTES if method == "GET" and "/admin/" not in path}
    assert reading == ASKED_HERE | WITHOUT_DATA_OF_PROJECTS


def test_the_rows_are_such_that_the_other_project_could_be_found(projects: TwoProjects) -> None:
    assert all(len(ids) > 10 for ids in projects.ids.values())
    assert all(text is None or SECRET["shop"] not in text for text in TEXTS_STORED)


async def test_what_looks_for_the_other_project_would_find_it(projects: TwoProjects) -> None:
    everything = await projects.service.get("/api/v1/requests", projects.service.keys.everything, pageSize="100")
    for project in SECRET:
        with pytest.raises(AssertionError):
            shows_only(project, everything)
