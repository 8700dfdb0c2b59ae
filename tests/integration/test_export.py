"""An export read back in every format is what the list says, wherever it is begun and however it is cut into pages."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import uuid4

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from litestar.di import Provide

from ledger.bus import Position
from ledger.clock import to_milliseconds
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId, keyed_id
from ledger.patch import KeyEntry
from ledger.request_log import Bodies, RequestLog
from ledger.settings import QueryCaps
from ledger.store.clickhouse import ClickHousePool
from ledger.store.questions import Answer, Asking, PastACap, Question
from query_api.conditions import Conditions
from query_api.errors import TooExpensive
from query_api.export.columns import HEAVY, KNOWN, LIGHT
from query_api.export.walking import FIRST_STRETCH_MS, Walk, oldest
from query_api.reading import Reader
from query_api.views import iso, usd
from tests.support.builders import A_TIME, ID_SECRET, a_request_log, an_id
from tests.support.listing_strategies import many_rows
from tests.support.query_service import A_NOW, QueryService

EXPORT = "/api/v1/requests/export"
Line = Mapping[str, Any]
FORMATS = ("csv", "ndjson", "parquet", "arrow")


async def exported(service: QueryService, key: str | None = None, **query: Any) -> httpx.Response:
    answer = await service.get(EXPORT, key, **query)
    assert answer.status_code == 200, answer.text
    return answer


async def lines(service: QueryService, key: str | None = None, **query: Any) -> list[Any]:
    """The export as NDJSON, read."""
    answer = await exported(service, key, format="ndjson", **query)
    assert answer.text == "" or answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.split("\n")[:-1]]


async def ids(service: QueryService, key: str | None = None, **query: Any) -> list[str]:
    return [line["id"] for line in await lines(service, key, columns="id", **query)]


async def rows_of_the_list(service: QueryService, key: str | None = None, **query: Any) -> list[Line]:
    answer = await service.get("/api/v1/requests", key, view="full", limit="1000", **query)
    rows: list[Line] = answer.json()["data"]
    return rows


def from_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def from_parquet(content: bytes) -> Any:
    return pq.read_table(io.BytesIO(content))


def from_arrow(content: bytes) -> Any:
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


def as_text(value: Any) -> str:
    """What a cell of CSV says for a value of the list. Of formulas there are none here but a line's end."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"'{value}" if value == "\n" else str(value)


def as_listed(name: str, value: Any) -> Any:
    """What the list says for a value of Arrow."""
    if name.endswith("_at") and value is not None:
        assert value.tzinfo is not None
        return iso(to_milliseconds(value.astimezone(UTC)))
    if isinstance(value, Decimal):
        return usd(int(value.scaleb(12)))
    return dict(value) if name == "metadata" else value


def readable(table: Any) -> list[Line]:
    return [{name: as_listed(name, value) for name, value in row.items()} for row in table.to_pylist()]


@pytest.fixture
async def filled(service: QueryService) -> QueryService:
    """The service with rows of two projects, in several versions, before and after its clock."""
    await service.add(*many_rows(150, seed=5))
    return service


async def test_ndjson_is_the_list(filled: QueryService) -> None:
    listed = await rows_of_the_list(filled)
    assert len(listed) > 40
    assert await lines(filled) == listed


async def test_csv_is_the_list_as_text(filled: QueryService) -> None:
    answer = await exported(filled, format="csv")
    listed = await rows_of_the_list(filled)
    assert from_csv(answer.content) == [{name: as_text(value) for name, value in row.items()} for row in listed]
    assert answer.content.startswith(",".join(LIGHT).encode() + b"\r\n")


@pytest.mark.parametrize(("format_", "read"), [("parquet", from_parquet), ("arrow", from_arrow)])
async def test_parquet_and_arrow_are_the_list_in_types_of_their_own(
    filled: QueryService, format_: str, read: Callable[[bytes], Any]
) -> None:
    table = read((await exported(filled, format=format_)).content)
    listed = await rows_of_the_list(filled)
    assert readable(table) == listed
    assert table.schema.field("created_at").type == pa.timestamp("ms", "UTC")
    assert table.schema.field("cost").type == pa.decimal128(38, 12)
    assert table.schema.field("metadata").type == pa.map_(pa.string(), pa.string())
    assert any(row["cost"] is None for row in listed)
    assert any(row["cost"] for row in listed)


async def test_with_bodies_every_line_is_the_single_call(filled: QueryService) -> None:
    found = await lines(filled, bodies="true")
    assert len(found) > 40
    for line in found:
        assert line == (await filled.get(f"/api/v1/requests/{line['id']}")).json()


@pytest.mark.parametrize(("format_", "read"), [("parquet", from_parquet), ("arrow", from_arrow)])
async def test_with_bodies_every_format_has_the_same_columns_and_texts(
    filled: QueryService, format_: str, read: Callable[[bytes], Any]
) -> None:
    as_lines = await lines(filled, bodies="true")
    rows = readable(read((await exported(filled, format=format_, bodies="true")).content))
    cells = from_csv((await exported(filled, bodies="true")).content)
    texts = [name for name in HEAVY if name not in {"media", "extra"}]
    assert [list(row) for row in rows] == [list(HEAVY)] * len(as_lines)
    assert [[row[name] for name in texts] for row in rows] == [[line[name] for name in texts] for line in as_lines]
    assert [cell["raw_request"] for cell in cells] == [as_text(line["raw_request"]) for line in as_lines]


async def test_media_and_extra_are_json_text_in_tables_and_one_line_in_ndjson(service: QueryService) -> None:
    media = '[{"side": "input",\n "type": "image", "sha256": "' + "a" * 64 + '"}]'
    await service.add(a_request_log(bodies=Bodies(media=media, extra='{"team":\n "blue"}')))
    wanted = [{**json.loads(media)[0], "href": "/api/v1/media/" + "a" * 64}]
    asked = {"columns": "media,extra"}
    assert await lines(service, **asked) == [{"media": wanted, "extra": {"team": "blue"}}]
    for row in (
        from_csv((await exported(service, **asked)).content)[0],
        from_parquet((await exported(service, format="parquet", **asked)).content).to_pylist()[0],
    ):
        assert (json.loads(row["media"]), json.loads(row["extra"])) == (wanted, {"team": "blue"})


async def test_unknown_figures_are_empty_and_never_zero(service: QueryService) -> None:
    await service.add(
        a_request_log(cost=None, cost_computed=None, input_tokens=None, output_tokens=0, duration_ms=None)
    )
    asked = {"columns": "cost,input_tokens,output_tokens,duration_ms"}
    assert (await exported(service, **asked)).text.split("\r\n")[1] == ",,0,"
    unknown = {"cost": None, "input_tokens": None, "output_tokens": 0, "duration_ms": None}
    assert from_parquet((await exported(service, format="parquet", **asked)).content).to_pylist() == [unknown]


async def test_no_cell_is_a_formula_and_numbers_stay_numbers(service: QueryService) -> None:
    await service.add(a_request_log(user_id="=1+1", description="-5", error="+a\n", cost=-1_500_000_000_000))
    asked = await exported(service, columns="user_id,description,error,cost")
    assert asked.text.split("\r\n", 1)[1] == "'=1+1,'-5,\"'+a\n\",-1.5\r\n"


@pytest.mark.parametrize("format_", FORMATS)
async def test_nothing_found_is_an_empty_file(service: QueryService, format_: str) -> None:
    content = (await exported(service, format=format_, columns="id,cost")).content
    read: Mapping[str, Callable[[], Any]] = {
        "csv": lambda: from_csv(content),
        "ndjson": lambda: content.splitlines(),
        "parquet": lambda: from_parquet(content).to_pylist(),
        "arrow": lambda: from_arrow(content).to_pylist(),
    }
    assert read[format_]() == []


async def test_columns_come_as_chosen(filled: QueryService) -> None:
    found = await lines(filled, columns="cost, id,prompt,cursor,prompt_preview")
    assert {tuple(line) for line in found} == {("cost", "id", "prompt", "cursor", "prompt_preview")}
    assert (await exported(filled, columns="cost,id")).text.startswith("cost,id\r\n")
    table = from_parquet((await exported(filled, format="parquet", columns=",".join(KNOWN))).content)
    assert table.column_names == list(KNOWN)


async def test_conditions_are_those_of_the_list(filled: QueryService) -> None:
    for asked in (
        {"user_id": "ann"},
        {"search": "b"},
        {"filter": '{"status": 200}'},
        {"from": iso(A_TIME + 2)},
        {"to": iso(A_TIME + 2)},
        {"from": iso(A_TIME + 1), "to": iso(A_TIME + 2)},
        {"from": iso(A_TIME + 10**10)},
        {"to": "1970-01-01T00:00:00Z"},
    ):
        wanted = [row["id"] for row in await rows_of_the_list(filled, **asked)]
        assert await ids(filled, **asked) == wanted, asked


async def test_from_any_row_on_it_gives_exactly_the_rest(filled: QueryService) -> None:
    for key in (filled.keys.shop, filled.keys.everything):
        whole = await lines(filled, key, columns="id,cursor")
        assert len(whole) > 40
        for number in range(0, len(whole), 7):
            for start in ({"cursor": whole[number]["cursor"]}, {"after_id": whole[number]["id"]}):
                assert await lines(filled, key, columns="id,cursor", **start) == whole[number + 1 :]


async def test_a_page_of_the_list_is_gone_on_with(filled: QueryService) -> None:
    page = (await filled.get("/api/v1/requests", view="full", limit="5")).json()
    rest = await ids(filled, cursor=page["next_cursor"])
    assert [row["id"] for row in page["data"]] + rest == await ids(filled)


async def test_it_is_gone_on_with_after_a_row_that_was_deleted_since(service: QueryService) -> None:
    logs = [a_request_log(id=an_id(A_TIME, number)) for number in range(3)]
    await service.add(*logs)
    await service.add(a_request_log(id=logs[1].id, version=2, is_deleted=True))
    assert await ids(service, after_id=logs[1].id) == [logs[0].id]


async def test_a_limit_is_kept_and_the_rest_is_found_after_it(filled: QueryService) -> None:
    whole = await ids(filled)
    first = await ids(filled, limit="10")
    assert first == whole[:10]
    assert await ids(filled, limit="1000", after_id=first[-1]) == whole[10:]
    assert await ids(filled, limit="5", after_id=whole[-1]) == []


async def test_each_project_gets_its_own_rows_only(filled: QueryService) -> None:
    shop, bank = await lines(filled), await lines(filled, filled.keys.bank)
    assert {line["project"] for line in shop} == {"shop"}
    assert {line["project"] for line in bank} == {"bank"}
    everything = await lines(filled, filled.keys.everything)
    assert {line["id"] for line in everything} == {line["id"] for line in shop + bank}
    for start in ({"after_id": bank[0]["id"]}, {"filter": '{"project": "bank"}'}):
        answer = await filled.get(EXPORT, format="ndjson", **start)
        assert answer.status_code in {200, 400}
        assert '"bank"' not in answer.text.replace("there is no", "")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"format": "xml"}, "format"),
        ({"columns": "id,nothing"}, "columns"),
        ({"columns": "id,"}, "columns"),
        ({"bodies": "1"}, "bodies"),
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "nothing"}, "cursor"),
        ({"after_id": "nothing"}, "after_id"),
        ({"after_id": "ffffffff-ffff-7000-8000-000000000000"}, "after_id"),
        ({"after_id": "x", "cursor": "y"}, "after_id"),
        ({"from": "yesterday"}, "from"),
        ({"filter": "{"}, "filter"),
    ],
)
async def test_what_cannot_be_understood_is_named(service: QueryService, query: dict[str, str], named: str) -> None:
    answer = await service.get(EXPORT, **query)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{named}: ")
    if "nothing" in query.get("columns", ""):
        assert all(name in answer.json()["error"] for name in KNOWN)


async def test_without_a_key_there_is_no_export(service: QueryService) -> None:
    for key in ("", "nope", service.keys.ingest_only):
        assert (await service.get(EXPORT, key)).status_code == 401


async def test_the_headers_say_what_kind_of_file_it_is(service: QueryService) -> None:
    names = {"csv": "csv", "ndjson": "ndjson", "parquet": "parquet", "arrow": "arrows"}
    for format_, extension in names.items():
        headers = (await exported(service, format=format_)).headers
        wanted = f'attachment; filename="llmledger-shop-{A_NOW:%Y%m%dT%H%M%SZ}.{extension}"'
        assert headers["content-disposition"] == wanted
        assert headers["cache-control"] == "no-store"
        assert ("content-encoding" in headers) is (format_ in {"csv", "ndjson"})
    everything = (await exported(service, service.keys.everything)).headers
    assert "llmledger-all-projects-" in everything["content-disposition"]


async def test_too_many_at_a_time_are_told_when_to_come_back(service: QueryService) -> None:
    places = cast(Provide, service.app.dependencies["export_places"]).dependency()
    with places.taken("shop"), places.taken("shop"):
        refused = await service.get(EXPORT)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert "2 exports" in refused.json()["error"]
        assert (await service.get(EXPORT, service.keys.bank)).status_code == 200
    assert (await service.get(EXPORT)).status_code == 200
    assert (await service.get(EXPORT)).status_code == 200


def walk_of(reader: Reader, page_rows: int, **conditions: Any) -> Walk:
    return Walk(Conditions(**conditions), Reach(ProjectId("shop")), reader, lambda: A_NOW, page_rows=page_rows)


async def walked(walk: Walk) -> list[Sequence[str]]:
    pages: list[Sequence[str]] = []
    while (logs := await walk.page()) is not None:
        pages.append([str(log.id) for log in logs])
    return pages


@pytest.mark.parametrize("page_rows", [1, 2, 3, 7, 1000])
async def test_pages_of_any_size_are_the_whole(filled: QueryService, page_rows: int) -> None:
    pages = await walked(walk_of(Reader(filled.pool, QueryCaps()), page_rows))
    assert max(map(len, pages)) <= page_rows
    assert [id_ for page in pages for id_ in page] == await ids(filled)


async def test_rows_far_apart_are_reached_in_few_steps(service: QueryService) -> None:
    times = (A_TIME, A_TIME - FIRST_STRETCH_MS, A_TIME - 10**10, 1_577_836_800_000, 0)
    await service.add(*(a_request_log(created_at=ms) for ms in times))
    pages = await walked(walk_of(Reader(service.pool, QueryCaps()), 100))
    assert [id_ for page in pages for id_ in page] == [an_id(ms, 1) for ms in times]
    assert len(pages) < 15


async def test_rows_that_are_gone_do_not_count_for_the_limit(service: QueryService) -> None:
    logs = [a_request_log(created_at=A_TIME - number) for number in range(6)]
    await service.add(*logs)
    walk = walk_of(Reader(service.pool, QueryCaps()), 100)
    walk.left = 3
    first: Sequence[RequestLog] = []
    while not first:
        first = await walk.page() or []
    walk.missed(2)
    rest = [id_ for page in await walked(walk) for id_ in page]
    assert [log.id for log in first] + rest == [log.id for log in logs[:5]]


async def test_the_oldest_row_is_that_of_the_reach(service: QueryService) -> None:
    bank = ProjectId("bank")
    reader = Reader(service.pool, QueryCaps())
    reaches = [Reach(ProjectId("shop")), Reach(bank), Reach(None)]
    assert [list(await reader.rows(oldest(reach))) for reach in reaches] == [[], [], []]
    await service.add(*(a_request_log(created_at=A_TIME - number * 10**10) for number in range(3)))
    await service.add(a_request_log(created_at=A_TIME - 5, project=bank))
    found = [(await reader.rows(oldest(reach)))[0][0] for reach in reaches]
    assert found == [A_TIME - 2 * 10**10, A_TIME - 5, A_TIME - 2 * 10**10]


async def test_what_arrives_above_the_place_that_was_reached_does_not_come(service: QueryService) -> None:
    logs = [a_request_log(created_at=A_TIME - number) for number in range(6)]
    await service.add(*logs)
    walk = walk_of(Reader(service.pool, QueryCaps()), 3)
    first: Sequence[RequestLog] = []
    while not first:
        first = await walk.page() or []
    late = a_request_log(created_at=A_TIME - 10)
    await service.add(a_request_log(created_at=A_TIME + 1), a_request_log(id=an_id(A_TIME, 9)), late)
    rest = [id_ for page in await walked(walk) for id_ in page]
    assert [log.id for log in first] + rest == [*(log.id for log in logs), late.id]


async def test_rows_dated_ahead_of_the_clock_are_exported_as_they_are_listed(service: QueryService) -> None:
    ahead = a_request_log(created_at=to_milliseconds(A_NOW) + 3_600_000)
    await service.add(ahead, a_request_log())
    assert await ids(service) == [ahead.id, an_id(A_TIME, 1)]
    assert await ids(service, to=iso(to_milliseconds(A_NOW))) == [an_id(A_TIME, 1)]


async def test_it_is_gone_on_with_after_a_row_whose_id_carries_no_time(service: QueryService) -> None:
    shop, id_ = ProjectId("shop"), keyed_id("order-7", ID_SECRET)
    await service.store.insert_key_entries([KeyEntry(shop, id_, Position(1, 0, 3), A_TIME, "hash")], uuid4().hex)
    older = a_request_log(created_at=A_TIME - 1)
    await service.add(a_request_log(id=id_), older, a_request_log(created_at=A_TIME + 1))
    for key in (service.keys.shop, service.keys.everything):
        assert await ids(service, key, after_id=id_) == [older.id]
    foreign = await service.get(EXPORT, service.keys.bank, after_id=id_)
    assert (foreign.status_code, foreign.json()["error"].partition(":")[0]) == (400, "after_id")


class Strained:
    """A store under which every question about more than so much time is too expensive."""

    def __init__(self, pool: ClickHousePool, most_ms: int) -> None:
        self._asking, self._most_ms = Asking(pool), most_ms
        self.refused = 0

    async def run(self, statement: Question) -> Answer:
        """The answer to a modest question."""
        times = [to_milliseconds(at) for value in statement.statement.values.values() if (at := as_time(value))]
        if len(times) < 2 or max(times) - min(times) > self._most_ms:
            self.refused += 1
            raise PastACap(159, 0.0)
        return await self._asking.run(statement)


def as_time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    except ValueError:
        return None


async def test_what_is_too_expensive_at_once_is_asked_in_shorter_stretches(service: QueryService) -> None:
    logs = [a_request_log(created_at=A_TIME - number * 9_000_000) for number in range(20)]
    await service.add(*logs)
    store = Strained(service.pool, 8_000_000)
    within = {"created_from": A_TIME - 10**9, "created_before": A_TIME + 1}
    pages = await walked(walk_of(Reader(store, QueryCaps()), 100, **within))
    assert [id_ for page in pages for id_ in page] == [log.id for log in logs]
    assert 0 < store.refused < 20


async def test_what_is_too_expensive_however_short_is_an_error(service: QueryService) -> None:
    store = Strained(service.pool, -1)
    with pytest.raises(TooExpensive):
        await walked(walk_of(Reader(store, QueryCaps()), 100))
    assert store.refused < 10
