"""What is too old is shown by no read from the moment that this is said, and set through `/api/v1/admin/retention`."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
from clickhouse_connect.driver import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Unavailable
from ledger.filtering.reach import Reach
from ledger.filtering.retained import Retained
from ledger.filtering.statements import Bound
from ledger.ids import ProjectId, keyed_id
from ledger.patch import KeyEntry
from ledger.retention import DAY_MS, Installation, Policy
from ledger.store.clickhouse import ClickHousePool, open_client
from ledger.store.retention import write_policy
from query_api.retention_book import REFRESH_SECONDS, RetentionBook
from tests.support.builders import A_TIME, ID_SECRET, a_request_log, an_id
from tests.support.query_service import A_NOW, QueryService

SHOP, BANK = ProjectId("shop"), ProjectId("bank")
IMAGE = "ab" * 32
NEW = A_TIME + 10 * DAY_MS  # A_TIME is 18 days ago, this is 8
DAYS = 10
PATH = "/api/v1/admin/retention"
KEYED = keyed_id("of a key", ID_SECRET)


@pytest.fixture
async def kept(service: QueryService) -> QueryService:
    """A service with an old and a new call of each of two projects, and nothing set."""
    await service.pool.run(lambda client: client.command("TRUNCATE TABLE retention"))
    assert (await service.get(PATH, service.keys.admin_of_all)).json()["projects"] == []  # the service has looked, too
    for number, project in enumerate((SHOP, BANK)):
        old = a_request_log(id=an_id(A_TIME, number), project=project, user_id="old", media_hashes=(IMAGE,))
        new = a_request_log(created_at=NEW, id=an_id(NEW, number), project=project, user_id="new")
        await service.add(old, new)
    await service.add(a_request_log(id=KEYED, user_id="old keyed"))
    entry = KeyEntry(SHOP, KEYED, a_request_log().position, A_TIME, "hash")
    await service.store.insert_key_entries([entry], uuid4().hex)
    service.blobs.stored |= {(project, IMAGE): b"bytes" for project in (SHOP, BANK)}
    return service


async def put(service: QueryService, key: str, **body: Any) -> httpx.Response:
    async with service.http() as client:
        return await client.put(PATH, json=body, headers={"Authorization": key})


async def users(service: QueryService, key: str) -> Sequence[str]:
    """Whose calls are shown, by whatever shows calls."""
    old_id = an_id(A_TIME, 0 if key != service.keys.bank else 1)
    shown = await service.listed(key)
    found = {row["user_id"] for row in shown["requests"]}
    assert shown["totalCount"] == len(shown["requests"])
    lists: list[dict[str, str]] = [
        {"view": "full"},
        {"cursor": ""},
        {"view": "full", "from": "2026-01-01T00:00:00Z"},
        {"search": "hello"},
        {"filter": '{"combinator":"and","rules":[{"field":"user_id","operator":"contains","value":"old"}]}'},
        {"user_id": "old"},
        {"q": "user:old"},
    ]
    for query in lists:
        answer = (await service.get("/api/v1/requests", key, **query)).json()
        rows = answer["requests"] if "requests" in answer else answer["data"]
        told = {row["user_id"] for row in rows}
        assert ("old" in told) is ("old" in found), (query, answer)
    for path in (f"/api/v1/requests/{old_id}", f"/api/v1/media/{IMAGE}"):
        assert (await service.get(path, key)).status_code == (200 if "old" in found else 404), path
    if key == service.keys.shop:
        answer = await service.get(f"/api/v1/requests/{KEYED}", key)
        assert answer.status_code == (200 if "old" in found else 404)
    for name in ("stats", "histogram", "facets"):
        counted = (await service.get(f"/api/v1/requests/{name}", key, **{"from": "2026-01-01T00:00:00Z"})).json()
        assert counted.get("requests", counted.get("total", {}).get("requests")) == shown["totalCount"], name
    exported = await service.get("/api/v1/requests/export", key, format="csv")
    assert exported.status_code == 200
    assert (",old," in exported.text) is ("old" in found)
    return sorted(found)


async def test_nothing_is_hidden_before_anything_is_set(kept: QueryService) -> None:
    assert await users(kept, kept.keys.shop) == ["new", "old", "old keyed"]
    assert await users(kept, kept.keys.everything) == ["new", "old", "old keyed"]


async def test_what_a_project_says_hides_its_old_calls_at_once_and_no_others(kept: QueryService) -> None:
    assert await users(kept, kept.keys.shop) == ["new", "old", "old keyed"]
    answer = await put(kept, kept.keys.admin, days=DAYS)
    assert (answer.status_code, answer.json()["earliest"]) == (200, "2026-03-22T00:00:00.000Z"), answer.text
    assert await users(kept, kept.keys.shop) == ["new"]
    assert await users(kept, kept.keys.bank) == ["new", "old"]
    everything = (await kept.listed(kept.keys.everything))["requests"]
    assert sorted(row["user_id"] for row in everything) == ["new", "new", "old"]


async def test_the_default_holds_for_all_that_say_nothing_themselves(kept: QueryService) -> None:
    assert (await put(kept, kept.keys.admin_of_all, days=DAYS)).status_code == 200
    assert await users(kept, kept.keys.everything) == ["new"]
    assert (await put(kept, kept.keys.admin_of_all, project="bank", days=None)).status_code == 200
    assert await users(kept, kept.keys.shop) == ["new"]
    assert await users(kept, kept.keys.bank) == ["new", "old"]
    assert (await put(kept, kept.keys.admin_of_all, project="bank", days="default")).json()["days"] == DAYS
    assert await users(kept, kept.keys.bank) == ["new"]


async def test_a_longer_time_brings_back_what_is_not_deleted_yet(kept: QueryService) -> None:
    await put(kept, kept.keys.admin, days=DAYS)
    await put(kept, kept.keys.admin, days=30)
    assert await users(kept, kept.keys.shop) == ["new", "old", "old keyed"]


async def test_a_dry_run_counts_what_would_go_and_sets_nothing(kept: QueryService) -> None:
    answer = await put(kept, kept.keys.admin, days=DAYS, dry_run=True)
    assert answer.json() == {
        "project": "shop",
        "days": DAYS,
        "earliest": "2026-03-22T00:00:00.000Z",
        "dry_run": True,
        "calls": 2,
    }
    assert (await put(kept, kept.keys.admin_of_all, days=DAYS, dry_run=True)).json()["calls"] == 3
    assert await users(kept, kept.keys.shop) == ["new", "old", "old keyed"]


async def test_it_is_shown_what_counts_for_whom(kept: QueryService) -> None:
    await put(kept, kept.keys.admin, days=DAYS)
    of_all = (await kept.get(PATH, kept.keys.admin_of_all)).json()
    assert (of_all["default"]["days"], of_all["default"]["set"]) == (None, False)
    assert [(one["project"], one["days"], one["set"]) for one in of_all["projects"]] == [("shop", DAYS, True)]
    assert (of_all["cut_before"], of_all["cap"], of_all["last_run"]) == (None, None, None)
    own = (await kept.get(PATH, kept.keys.admin)).json()
    assert [one["project"] for one in own["projects"]] == ["shop"]
    other = (await kept.get(PATH, kept.keys.admin_of_all, project="bank")).json()
    assert [(one["project"], one["days"], one["set"]) for one in other["projects"]] == [("bank", None, False)]


async def test_a_project_sets_nothing_for_others_and_nobody_sets_nonsense(kept: QueryService) -> None:
    for project in ("bank", "*"):
        assert (await put(kept, kept.keys.admin, project=project, days=DAYS)).status_code == 403
    assert (await put(kept, kept.keys.admin_of_all, project="shopp", days=DAYS)).status_code == 400
    for days in (0, 40_000, -1, "many", 1.5, True):
        assert (await put(kept, kept.keys.admin, days=days)).status_code == 400, days
    assert (await put(kept, kept.keys.admin)).status_code == 400
    assert await users(kept, kept.keys.shop) == ["new", "old", "old keyed"]


async def test_a_deletion_still_takes_what_is_hidden(kept: QueryService) -> None:
    await put(kept, kept.keys.admin, days=DAYS)
    async with kept.http() as client:
        body, headers = {"user_id": "old", "dry_run": True}, {"Authorization": kept.keys.admin}
        answer = await client.post("/api/v1/admin/delete", json=body, headers=headers)
    assert answer.json()["matching"] == 1


class Timer:
    """A clock of seconds that stands still unless it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_what_another_process_sets_is_known_within_seconds(kept: QueryService) -> None:
    timer = Timer()
    book = RetentionBook(kept.pool, Installation(), lambda: A_NOW, timer)
    await book.look()
    await kept.pool.run(partial(write_policy, policy=Policy(SHOP, DAYS, 1, "k")))
    await book.look()
    assert book.retained().earliest(SHOP) is None
    timer.seconds += REFRESH_SECONDS
    await book.look()
    assert book.retained().earliest(SHOP) is not None


async def test_the_bound_moves_with_the_day(kept: QueryService) -> None:
    now = [A_NOW]
    book = RetentionBook(kept.pool, Installation(default_days=DAYS), lambda: now[0])
    await book.look()
    before = book.retained().of_all() or 0
    now[0] = datetime.fromisoformat(A_NOW.isoformat()) + timedelta(days=1)
    assert book.retained().of_all() == before + DAY_MS


async def test_while_the_store_is_away_what_was_known_last_counts(kept: QueryService) -> None:
    timer = Timer()
    book = RetentionBook(kept.pool, Installation(default_days=DAYS), lambda: A_NOW, timer)
    await book.look()
    known = book.retained()
    away = ClickHousePool("http://127.0.0.1:9/nothing", threads=1)
    try:
        book.pool, timer.seconds = away, REFRESH_SECONDS
        await book.look()
        assert book.retained() == known
        fresh = RetentionBook(away, Installation(), lambda: A_NOW, timer)
        await fresh.look()
        with pytest.raises(Unavailable):
            Reach(SHOP, fresh.retained()).clause(Bound())
    finally:
        away.close()


@pytest.fixture(scope="module")
def client(chdb_engine: str) -> Iterator[Client]:
    opened = open_client(chdb_engine)
    yield opened
    opened.close()


INSTANTS = st.one_of(st.none(), st.integers(0, 4))
PROJECTS = ["shop", "bank", "mill"]


@settings(max_examples=25, deadline=None)
@given(others=INSTANTS, of=st.dictionaries(st.sampled_from(PROJECTS), INSTANTS))
def test_the_condition_is_true_of_exactly_what_is_kept(
    client: Client, others: int | None, of: dict[ProjectId, int | None]
) -> None:
    retained = Retained.by(others, of)
    rows = [(project, at) for project in PROJECTS for at in range(5)]
    table = ", ".join(f"('{project}', fromUnixTimestamp64Milli({at}, 'UTC'))" for project, at in rows)
    for project in (None, *map(ProjectId, PROJECTS)):
        bound = Bound()
        clause = Reach(project, retained).clause(bound)
        sql = (
            "SELECT project, toUnixTimestamp64Milli(created_at)"
            f" FROM values('project String, created_at DateTime64(3)', {table})"
        )
        found = client.query(f"{sql} WHERE {clause}", parameters=bound.values).result_rows
        mine = [(name, at) for name, at in rows if project in (None, name)]
        kept = [(name, at) for name, at in mine if (since := retained.earliest(ProjectId(name))) is None or at >= since]
        assert sorted(map(tuple, found)) == sorted(kept)
