"""The endpoints of statistics answer what a plain model of the rows says, and say what they left out."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from ledger.clock import to_milliseconds
from ledger.ids import ProjectId
from ledger.request_log import CostStatus, RequestLog
from ledger.settings import QueryCaps
from query_api.views import iso
from tests.support.aggregates_model import counted, disagreement, grouped
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.chdb_fixtures import fresh_database, with_schema
from tests.support.listing_model import current
from tests.support.listing_strategies import TIMES, many_rows
from tests.support.query_service import A_NOW, QueryService, query_service

STATS, HISTOGRAM, FACETS = (f"/api/v1/requests/{name}" for name in ("stats", "histogram", "facets"))
UNPRICED = "/api/v1/models/unpriced"
ALL = {"from": iso(TIMES[0]), "to": iso(TIMES[-1] + 1)}
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def rich(chdb_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QueryService, list[RequestLog]]]:
    """A service over a fixed set of many rows, and those of the project shop that stand."""
    logs = many_rows(160, seed=5)
    with (
        fresh_database(chdb_engine) as dsn,
        query_service(with_schema(dsn), tmp_path_factory.mktemp("rich")) as running,
    ):
        asyncio.run(running.add(*logs[: len(logs) // 2]))
        asyncio.run(running.add(*logs[len(logs) // 2 :]))
        yield running, [log for log in current(logs) if log.project == "shop"]


@pytest.fixture
def service(chdb_dsn: str, tmp_path: Any) -> Iterator[QueryService]:
    """A service over tables of its own."""
    with query_service(with_schema(chdb_dsn), tmp_path) as running:
        yield running


async def asked(service: QueryService, path: str, key: str | None = None, **query: str) -> Any:
    answer = await service.get(path, key, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(service: QueryService, path: str, status: int, **query: str) -> str:
    answer = await service.get(path, **query)
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


@pytest.mark.parametrize(
    "by", ["", "model", "provider", "user", "project", "status", "source", "session", "metadata.env", "model,user"]
)
async def test_statistics_are_what_the_model_says(rich: tuple[QueryService, list[RequestLog]], by: str) -> None:
    service, logs = rich
    answer = await asked(service, STATS, **ALL, group_by=by)
    names = [name for name in by.split(",") if name]
    groups = grouped(logs, names)
    assert not disagreement(answer["total"], logs)
    assert {tuple(row["group"].values()) for row in answer["data"]} == set(groups)
    for row in answer["data"]:
        assert not disagreement(row, groups[tuple(row["group"][name] for name in names)])
        assert row["bucket"] is None
    requests = [row["requests"] for row in answer["data"]]
    assert requests == sorted(requests, reverse=True)
    assert answer["groups"] == len(groups)
    assert answer["other"] == []


async def test_statistics_take_the_conditions_of_lists(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    rules = json.dumps({"combinator": "and", "rules": [{"field": "status", "operator": "=", "value": 200}]})
    answer = await asked(service, STATS, **ALL, user_id="ann", filter=rules)
    assert not disagreement(answer["total"], [log for log in logs if log.user_id == "ann" and log.status_code == 200])
    assert 0 < answer["total"]["requests"] < len(logs)
    other = await asked(service, STATS, service.keys.bank, **ALL)
    everything = await asked(service, STATS, service.keys.everything, **ALL)
    total = everything["total"]["requests"]
    assert total == other["total"]["requests"] + len(logs)


@pytest.mark.parametrize("by", ["model", "user"])
async def test_groups_beyond_the_limit_are_told_together(rich: tuple[QueryService, list[RequestLog]], by: str) -> None:
    service, logs = rich
    answer = await asked(service, STATS, **ALL, group_by=by, limit="1")
    ((key, listed),) = ((row["group"][by], row) for row in answer["data"])
    groups = {key: of_key for (key,), of_key in grouped(logs, [by]).items()}
    assert len(groups[key]) == max(map(len, groups.values()))
    assert not disagreement(listed, groups[key])
    (rest,) = answer["other"]
    assert not disagreement(rest, [log for log in logs if log not in groups[key]])
    assert answer["groups"] == len(groups)


async def test_a_series_without_groups_has_every_bucket(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    for interval, length in (("1h", HOUR_MS), ("1d", 24 * HOUR_MS)):
        answer = await asked(service, STATS, **ALL, interval=interval)
        starts = range(TIMES[0] // length * length, TIMES[-1] + 1, length)
        assert [row["bucket"] for row in answer["data"]] == [iso(start) for start in starts]
        for start, row in zip(starts, answer["data"], strict=True):
            assert not disagreement(row, [log for log in logs if start <= log.created_at < start + length])
    empty = answer["data"][1]
    assert (empty["requests"], empty["cost"], empty["error_rate"], empty["latency_ms"]["p50"]) == (0, "0", None, None)


async def test_weeks_begin_on_monday(service: QueryService) -> None:
    sunday, monday = (to_milliseconds(A_NOW) - days * 24 * HOUR_MS for days in (3, 2))  # of 29 and 30 March 2026
    await service.add(*(a_request_log(created_at=ms) for ms in (sunday, monday)))
    answer = await asked(service, STATS, interval="7d", **{"from": "2026-03-24"})
    assert [(row["bucket"][:10], row["requests"]) for row in answer["data"]] == [("2026-03-23", 1), ("2026-03-30", 1)]


async def test_a_series_of_groups_tells_its_rest_in_each_bucket(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    answer = await asked(service, STATS, **ALL, interval="1d", group_by="user,model", limit="2")
    by_bucket: dict[str, int] = {}
    for row in [*answer["data"], *answer["other"]]:
        by_bucket[row["bucket"]] = by_bucket.get(row["bucket"], 0) + row["requests"]
    assert by_bucket == {
        iso(day * 24 * HOUR_MS): len(of_day)
        for day in {log.created_at // (24 * HOUR_MS) for log in logs}
        if (of_day := [log for log in logs if log.created_at // (24 * HOUR_MS) == day])
    }


async def test_the_histogram_counts_each_call_in_one_class(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    answer = await asked(service, HISTOGRAM, **ALL)
    assert answer["interval"] == "6h"
    assert answer["requests"] == len(logs) == sum(bucket["requests"] for bucket in answer["data"])
    classes = {name: sum(bucket[name] for bucket in answer["data"]) for name in ("ok", "client_error", "server_error")}
    statuses = counted(logs, "status")
    assert classes == {"ok": statuses[200], "client_error": statuses[404], "server_error": statuses[500]}
    assert sum(bucket["unknown"] for bucket in answer["data"]) == statuses[None] + statuses[0]
    assert answer["errors"] == sum(log.is_error for log in logs)


async def test_facets_count_the_values_of_each_field(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    fields = ["status", "model", "user", "streamed", "cached", "metadata.env", "finish_reason", "session"]
    answer = await asked(service, FACETS, **ALL, fields=",".join(fields))
    assert answer["requests"] == len(logs)
    assert list(answer["facets"]) == fields
    for name in fields:
        facet = answer["facets"][name]
        assert {value["value"]: value["requests"] for value in facet["values"]} == counted(logs, name)
        assert (facet["other_values"], facet["other_requests"]) == (0, 0)
    keys: dict[str, int] = {}
    for log in logs:
        for key in dict(log.metadata):
            keys[key] = keys.get(key, 0) + 1
    assert {value["value"]: value["requests"] for value in answer["metadata_keys"]["values"]} == keys


async def test_facets_tell_ranges_and_what_they_leave_out(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    answer = await asked(service, FACETS, **ALL, limit="1")
    assert "user" in answer["facets"]
    for name in ("status", "user"):
        facet, wanted = answer["facets"][name], counted(logs, name)
        assert [value["requests"] for value in facet["values"]] == [max(wanted.values())]
        assert facet["other_values"] == len(wanted) - 1
        assert facet["other_requests"] == len(logs) - max(wanted.values())
    durations = [log.duration_ms for log in logs if log.duration_ms is not None]
    costs = [log.cost for log in logs if log.cost is not None]
    assert answer["ranges"]["latency_ms"] == {"min": min(durations), "max": max(durations)}
    assert [Decimal(answer["ranges"]["cost"][end]).scaleb(12) for end in ("min", "max")] == [min(costs), max(costs)]
    assert answer["ranges"]["ttft_ms"] == {"min": None, "max": None}


async def test_nothing_at_all_is_zero_or_null(service: QueryService) -> None:
    statistics = await asked(service, STATS, group_by="model", interval="1d")
    assert (statistics["data"], statistics["other"], statistics["groups"]) == ([], [], 0)
    assert not disagreement(statistics["total"], [])
    facets = await asked(service, FACETS)
    assert facets["facets"]["user"] == {"values": [], "other_values": 0, "other_requests": 0}
    assert facets["ranges"]["cost"] == {"min": None, "max": None}
    assert (await asked(service, HISTOGRAM))["requests"] == 0
    assert (await asked(service, UNPRICED))["data"] == []


async def test_without_a_beginning_the_last_thirty_days_are_meant_and_the_answer_says_so(service: QueryService) -> None:
    now = to_milliseconds(A_NOW)
    await service.add(*(a_request_log(created_at=now - days * 24 * HOUR_MS) for days in (1, 30, 31)))
    for path in (STATS, HISTOGRAM, FACETS, UNPRICED):
        answer = await asked(service, path)
        times = (answer["from"], answer["to"], answer["narrowed"])
        assert times == ("2026-03-02T00:00:00.000Z", "2026-04-01T00:00:00.000Z", True)
    assert (await asked(service, STATS))["total"]["requests"] == 2
    wider = await asked(service, STATS, **{"from": "2026-01-01"})
    assert (wider["total"]["requests"], wider["narrowed"]) == (3, False)


async def test_models_without_a_price_are_told_with_the_reasons(service: QueryService) -> None:
    def a_call(number: int, **changes: Any) -> RequestLog:
        unknown: Mapping[str, Any] = {"cost": None, "cost_status": CostStatus.UNPRICED, "cost_computed": None}
        return a_request_log(**{"created_at": A_TIME + number, **unknown, **changes})

    await service.add(
        a_call(1, model_requested="new", cost_reason="no_price"),
        a_call(2, model_requested="new", cost_reason="no_price", input_tokens=None),
        a_call(3, model_requested="new", cost_reason="no_usage"),
        a_call(4, model_requested=None, provider=None, cost_reason="no_model"),
        a_request_log(created_at=A_TIME + 5),
        a_call(6, project=ProjectId("bank"), model_requested="foreign"),
    )
    answer = await asked(service, UNPRICED)
    assert answer["calls"] == 4
    new, unknown = answer["data"]
    assert (new["model"], new["provider"], new["calls"]) == ("new", "openai", 3)
    assert new["reasons"] == [{"reason": "no_price", "calls": 2}, {"reason": "no_usage", "calls": 1}]
    assert (new["first_seen"], new["last_seen"]) == (iso(A_TIME + 1), iso(A_TIME + 3))
    assert new["input_tokens"] == {"total": 24, "known": 2}
    assert (unknown["model"], unknown["provider"]) == (None, None)
    cut = await asked(service, UNPRICED, limit="1")
    assert (len(cut["data"]), cut["other_models"], cut["other_calls"]) == (1, 1, 1)


async def test_money_is_exact_beyond_64_bits(service: QueryService) -> None:
    costs = [2**63 - 1, 2**63 - 1, 2**62, 1]
    await service.add(*(a_request_log(created_at=A_TIME + n, cost=cost) for n, cost in enumerate(costs)))
    total = (await asked(service, STATS))["total"]
    assert Decimal(total["cost"]).scaleb(12) == sum(costs)
    assert total["unpriced"] == 0


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        (STATS, {"group_by": "nothing"}, "group_by: must name some of: model,"),
        (STATS, {"group_by": "model,user,status"}, "group_by: takes at most 2"),
        (STATS, {"group_by": "metadata."}, "group_by: "),
        (STATS, {"interval": "2h"}, "interval: must be one of: none, auto, 1m,"),
        (STATS, {"limit": "0"}, "limit: "),
        (STATS, {"limit": "1001"}, "limit: "),
        (STATS, {"from": "2026-03-02", "to": "2026-03-01"}, "from: must not be after to"),
        (HISTOGRAM, {"interval": "none"}, "interval: "),
        (HISTOGRAM, {"from": "yesterday"}, "from: "),
        (FACETS, {"fields": "prompt"}, "fields: "),
        (FACETS, {"filter": "{"}, "filter: "),
        (UNPRICED, {"limit": "x"}, "limit: "),
    ],
)
async def test_what_cannot_be_understood_is_named(
    rich: tuple[QueryService, list[RequestLog]], path: str, query: dict[str, str], named: str
) -> None:
    assert (await refused(rich[0], path, 400, **query)).startswith(named)


async def test_what_costs_too_much_is_refused_with_advice(
    rich: tuple[QueryService, list[RequestLog]], tmp_path: Any
) -> None:
    service, _ = rich
    assert "longer interval" in await refused(service, STATS, 422, interval="1m", **{"from": "2026-01-01"})
    with query_service(service.dsn, tmp_path, QueryCaps(max_memory_bytes=1000)) as tight:
        assert "group by less" in await refused(tight, STATS, 422, **ALL, group_by="model")


async def test_a_histogram_of_all_time_has_an_answer(rich: tuple[QueryService, list[RequestLog]]) -> None:
    service, logs = rich
    answer = await asked(service, HISTOGRAM, **{"from": "1970-01-01", "to": ALL["to"]})
    assert (answer["interval"], answer["requests"]) == ("364d", len(logs))
    for interval in ("28d", "364d"):
        statistics = await asked(service, STATS, **ALL, interval=interval)
        assert sum(row["requests"] for row in statistics["data"]) == len(logs)


async def test_a_number_that_no_column_can_hold_is_refused_by_the_documented_list(service: QueryService) -> None:
    for text in ("1e999", "-1e999", "9" * 4000):
        answer = await service.get("/api/v1/requests", filter=json.dumps({"duration": text}))
        assert (answer.status_code, "out of range" in answer.json()["error"]) == (400, True)


async def test_the_count_of_a_list_is_exact_and_follows_what_is_written(service: QueryService) -> None:
    logs = [a_request_log(id=an_id(A_TIME, number), user_id=f"u{number % 2}") for number in range(7)]
    await service.add(*logs)
    for _ in range(2):
        assert (await service.listed(pageSize="0"))["totalCount"] == 7
        assert (await service.listed(user_id="u1", pageSize="1"))["totalCount"] == 3
    await service.add(a_request_log(id=an_id(A_TIME, 1), version=2, is_deleted=True, user_id="u1"))
    assert (await service.listed(pageSize="0"))["totalCount"] == 6
    assert (await service.listed(user_id="u1", pageSize="1"))["totalCount"] == 2
