"""Whatever is written, changed, deleted, sent twice, merged, dropped and asked in between: counts and statistics are
those of a plain model of the rows, with the cache and without."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from ledger.clock import to_milliseconds
from ledger.filtering.filter_text import parse_filter
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog
from ledger.settings import QueryCaps
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from ledger.store.questions import Asking
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.counting import count
from query_api.aggregates.facets import facets, facets_asked
from query_api.aggregates.histogram import histogram, histogram_asked
from query_api.aggregates.statistics import statistics, statistics_asked
from query_api.conditions import Conditions
from query_api.reading import Reader
from tests.support.aggregates_model import counted, disagreement, grouped
from tests.support.builders import a_request_log, an_id
from tests.support.chdb_fixtures import fresh_database, with_schema
from tests.support.listing_model import bodies_of, current

MACHINE = settings(
    max_examples=5,
    stateful_step_count=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # add Phase.shrink to look into a failure: it takes minutes
    print_blob=True,
)


def at(text: str) -> int:
    return to_milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
DAYS = ["2026-01-31T23:59:59.999", "2026-02-01", "2026-02-14T06:30", "2026-03-01", "2026-03-18T23:59:59.500"]
TIMES = [*map(at, DAYS), at("2026-03-19T00:00:00"), at("2026-03-20T01:00"), at("2026-03-20T11:59:59.999")]
EDGES = [*TIMES, at("2026-02-14"), at("2026-03-20"), at("2026-03-20T12:00"), at("2026-01-01"), at("2026-02-03T04:05")]
MONTHS = ["202601", "202602", "202603"]

ROWS = st.fixed_dictionaries(
    {
        "created_at": st.sampled_from(TIMES),
        "project": st.sampled_from([ProjectId("shop"), ProjectId("shop"), ProjectId("bank")]),
        "model_requested": st.sampled_from([None, "gpt-4o", "o'neil\\"]),
        "session_id": st.sampled_from([None, "s1", "s2", "s3"]),
    }
)
CHANGES = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from([None, "ann", "Bob"]),
        "is_error": st.booleans(),
        "status_code": st.sampled_from([None, 0, 200, 404, 500]),
        "duration_ms": st.sampled_from([None, 0.0, 0.25, 3.5, 100.25, 1e9]),
        "ttft_ms": st.sampled_from([None, 0, 12, 900]),
        "cost": st.sampled_from([None, 0, 1, 150_000_000_000, 2**62]),
        "input_tokens": st.sampled_from([None, 0, 7, 2**62]),
        "cache_read_tokens": st.sampled_from([None, 3]),
        "metadata": st.sampled_from([(), (("env", "prod"),), (("env", ""), ("tier", "1"))]),
        "bodies": st.sampled_from([Bodies(prompt="a needle"), Bodies(prompt="hay"), Bodies()]),
    }
)
GROUP_BYS = [(), ("model",), ("user",), ("session", "status"), ("metadata.env",), ("model", "user")]
QUESTIONS = st.fixed_dictionaries(
    {
        "from": st.none() | st.sampled_from(EDGES),
        "to": st.none() | st.sampled_from(EDGES),
        "user_id": st.sampled_from([None, None, "ann", "nobody"]),
        "search": st.sampled_from([None, None, None, "needle"]),
        "filter": st.sampled_from([None, None, {"status": 200}]),
    }
)


class CacheMachine(RuleBasedStateMachine):
    """Writes, spoils what is kept in every way there is, and asks."""

    pool: ClickHousePool

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.store = ClickHouseStore(self.pool)
        self.logs: list[RequestLog] = []
        self.made = 0
        self.cached = Aggregates(lambda: NOW)
        self._command("TRUNCATE TABLE request_logs", "TRUNCATE TABLE request_bodies")

    def teardown(self) -> None:
        self.runner.close()

    @rule(rows=st.lists(st.tuples(ROWS, CHANGES), min_size=1, max_size=4))
    def calls_come_in(self, rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        logs = []
        for row, changes in rows:
            self.made += 1
            logs.append(a_request_log(**row, **changes, id=an_id(row["created_at"], self.made)))
        self._write(logs)

    @precondition(lambda self: self.logs)
    @rule(data=st.data(), changes=CHANGES)
    def a_call_is_updated(self, data: st.DataObject, changes: dict[str, Any]) -> None:
        log = data.draw(st.sampled_from(self.logs))
        self._write([replace(log, version=2 + self.made, **changes)])
        self.made += 1

    @precondition(lambda self: self.logs)
    @rule(data=st.data())
    def a_call_is_deleted(self, data: st.DataObject) -> None:
        log = data.draw(st.sampled_from(self.logs))
        self._write([replace(log, version=2 + self.made, is_deleted=True)])
        self.made += 1

    @precondition(lambda self: self.logs)
    @rule(data=st.data())
    def what_was_written_comes_again(self, data: st.DataObject) -> None:
        self._write(data.draw(st.lists(st.sampled_from(self.logs), min_size=1, max_size=3)))

    @rule(month=st.sampled_from(MONTHS), table=st.sampled_from(["request_logs", "request_bodies"]))
    def parts_are_merged(self, month: str, table: str) -> None:
        self._command(f"OPTIMIZE TABLE {table} PARTITION {month} FINAL")

    @rule(month=st.sampled_from(MONTHS))
    def a_month_is_dropped(self, month: str) -> None:
        self._command(*(f"ALTER TABLE {table} DROP PARTITION {month}" for table in ("request_logs", "request_bodies")))
        self.logs = [log for log in self.logs if f"{datetime.fromtimestamp(log.created_at / 1000, UTC):%Y%m}" != month]

    @precondition(lambda self: self.logs)
    @rule(changes=CHANGES)
    def tables_are_made_anew_and_names_of_parts_come_back(self, changes: dict[str, Any]) -> None:
        logs = [replace(log, **changes) for log in current(self.logs)]
        remake(self.pool)
        self.logs = []
        if logs:
            self._write(logs)

    @rule(asked=QUESTIONS, everything=st.booleans())
    def count_is_asked(self, asked: dict[str, Any], everything: bool) -> None:
        conditions = conditions_of(asked)
        reach = Reach(None if everything else ProjectId("shop"))
        wanted = len(self._matching(asked, everything))
        for aggregates in (self.cached, Aggregates(lambda: NOW)):
            assert self.runner.run(count(conditions, reach, aggregates, self._reader())) == wanted

    @rule(
        asked=QUESTIONS,
        by=st.sampled_from(GROUP_BYS),
        interval=st.sampled_from(["none", "auto", "1d", "7d"]),
        limit=st.sampled_from([1, 2, 100]),
    )
    def statistics_are_asked(self, asked: dict[str, Any], by: tuple[str, ...], interval: str, limit: int) -> None:
        given, logs = self._given(asked), self._matching(asked, everything=False)
        given |= {"group_by": ",".join(by), "interval": interval, "limit": str(limit)}
        wanted = statistics_asked(given, lambda: NOW)
        shop = Reach(ProjectId("shop"))
        first, second = (
            self.runner.run(statistics(wanted, shop, aggregates, self._reader()))
            for aggregates in (self.cached, Aggregates(lambda: NOW))
        )
        assert first == second
        assert not disagreement(as_json(first.total), logs)
        groups = grouped(logs, by)
        assert first.groups == (len(groups) if by else 1)
        shown = {tuple(row.group[name] for name in by): 0 for row in first.data}
        assert len(shown) == min(limit, len(groups)) or not by
        for row in first.data:
            key = tuple(row.group[name] for name in by)
            shown[key] += row.requests
            if interval == "none":
                assert not disagreement(as_json(row), groups.get(key, []))
        assert all(requests == len(groups.get(key, [])) for key, requests in shown.items())
        rest = [log for key, of_key in groups.items() if key not in shown for log in of_key]
        assert sum(row.requests for row in first.other) == len(rest)
        if interval == "none" and rest:
            assert not disagreement(as_json(first.other[0]), rest)

    @rule(asked=QUESTIONS, limit=st.sampled_from([1, 100]))
    def facets_and_a_histogram_are_asked(self, asked: dict[str, Any], limit: int) -> None:
        given, logs = self._given(asked), self._matching(asked, everything=False)
        fields = ["user", "status", "model", "metadata.env"]
        of_values = facets_asked({**given, "fields": ",".join(fields), "limit": str(limit)}, lambda: NOW)
        of_times = histogram_asked(given, lambda: NOW)
        shop, fresh = Reach(ProjectId("shop")), Aggregates(lambda: NOW)
        found = self.runner.run(facets(of_values, shop, self.cached, self._reader()))
        assert found == self.runner.run(facets(of_values, shop, fresh, self._reader()))
        for name in fields:
            wanted, facet = counted(logs, name), found.facets[name]
            assert all(wanted[value.value] == value.requests for value in facet.values)
            assert len(facet.values) == min(limit, len(wanted))
            assert sum(value.requests for value in facet.values) + facet.other_requests == len(logs)
        buckets = self.runner.run(histogram(of_times, shop, self.cached, self._reader()))
        assert buckets == self.runner.run(histogram(of_times, shop, fresh, self._reader()))
        assert buckets.requests == len(logs)

    def _given(self, asked: dict[str, Any]) -> dict[str, str]:
        """The question as parameters. Its bounds are put in order."""
        asked["from"], asked["to"] = sorted((asked["from"] or EDGES[0], asked["to"] or EDGES[-1]))
        texts = {name: asked[name] for name in ("user_id", "search") if asked[name] is not None}
        if asked["filter"]:
            texts["filter"] = json.dumps(asked["filter"])
        bounds = {name: datetime.fromtimestamp(asked[name] / 1000, UTC).isoformat() for name in ("from", "to")}
        return texts | bounds

    def _matching(self, asked: dict[str, Any], everything: bool) -> list[RequestLog]:
        return [log for log in current(self.logs) if matches(log, asked) and (everything or log.project == "shop")]

    def _write(self, logs: list[RequestLog]) -> None:
        token = uuid4().hex
        self.runner.run(self.store.insert_bodies(logs, token))
        self.runner.run(self.store.insert_rows(logs, token))
        self.logs += logs

    def _command(self, *statements: str) -> None:
        for statement in statements:
            self.pool.run_here(lambda client, text=statement: client.command(text))  # type: ignore[misc]

    def _reader(self) -> Reader:
        return Reader(Asking(self.pool), QueryCaps())


def as_json(value: Any) -> Any:
    return msgspec.to_builtins(value)


def conditions_of(asked: dict[str, Any]) -> Conditions:
    return Conditions(
        user_id=asked["user_id"],
        search=asked["search"],
        filter=parse_filter(json.dumps(asked["filter"])) if asked["filter"] else None,
        created_from=asked["from"],
        created_before=asked["to"],
    )


def matches(log: RequestLog, asked: dict[str, Any]) -> bool:
    holds = [
        asked["from"] is None or log.created_at >= asked["from"],
        asked["to"] is None or log.created_at < asked["to"],
        asked["user_id"] is None or log.user_id == asked["user_id"],
        asked["search"] is None or asked["search"] in (bodies_of(log).prompt or ""),
        asked["filter"] is None or log.status_code == asked["filter"]["status"],
    ]
    return all(holds)


def remake(pool: ClickHousePool) -> None:
    """The table as it was, and empty. Its parts are numbered from 1 again."""
    made = str(pool.run_here(lambda client: client.query("SHOW CREATE TABLE request_logs").result_rows[0][0]))
    pool.run_here(lambda client: client.command("DROP TABLE request_logs SYNC"))
    pool.run_here(lambda client: client.command(made))


@pytest.fixture
def pool(chdb_engine: str) -> Iterator[ClickHousePool]:
    with fresh_database(chdb_engine) as dsn:
        opened = ClickHousePool(with_schema(dsn), threads=3)
        try:
            yield opened
        finally:
            opened.close()


def test_whatever_happens_to_the_tables_the_answers_are_those_of_a_plain_model(pool: ClickHousePool) -> None:
    machine = type("Machine", (CacheMachine,), {"pool": pool})
    run_state_machine_as_test(machine, settings=MACHINE)


async def test_answers_are_right_while_others_write_and_merge_and_after(pool: ClickHousePool) -> None:
    store, aggregates = ClickHouseStore(pool), Aggregates(lambda: NOW)
    reader, shop = Reader(Asking(pool), QueryCaps()), Reach(ProjectId("shop"))
    logs = [a_request_log(created_at=ms, id=an_id(ms, number)) for number in range(60) for ms in TIMES]

    async def write() -> None:
        for start in range(0, len(logs), 40):
            await store.insert_rows(logs[start : start + 40], f"{start}")
            await store.insert_rows([replace(log, version=2) for log in logs[start : start + 5]], f"again {start}")

    async def merge() -> None:
        while not writing.done():
            await pool.run(lambda client: client.command("OPTIMIZE TABLE request_logs PARTITION 202603 FINAL"))

    async def ask() -> list[int]:
        told = []
        while not writing.done():
            told.append(await count(Conditions(), shop, aggregates, reader))
        return told

    writing = asyncio.create_task(write())
    told, more, *_ = await asyncio.gather(ask(), ask(), merge(), writing)
    assert sorted(told) == told
    assert max([*told, *more]) <= len(logs)
    assert await count(Conditions(), shop, aggregates, reader) == len(logs)
    assert await count(Conditions(user_id="nobody"), shop, aggregates, reader) == 0
