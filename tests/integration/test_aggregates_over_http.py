"""The same statistics over ClickHouse's HTTP interface: values, settings and numbers travel another way there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from query_api.views import iso
from tests.support.aggregates_model import counted, disagreement, grouped
from tests.support.chdb_fixtures import with_schema
from tests.support.listing_model import current
from tests.support.listing_strategies import TIMES, many_rows
from tests.support.query_service import QueryService, query_service

pytestmark = pytest.mark.clickhouse


@pytest.fixture
def service(clickhouse_database: str, tmp_path: Path) -> Iterator[QueryService]:
    with query_service(with_schema(clickhouse_database), tmp_path) as running:
        yield running


async def test_statistics_and_facets_are_the_same_over_http(service: QueryService) -> None:
    rows = many_rows(120, seed=3)
    await service.add(*rows)
    logs = [log for log in current(rows) if log.project == "shop"]
    span = {"from": iso(TIMES[0]), "to": iso(TIMES[-1] + 1)}
    for by in ("model", "user", "metadata.env"):
        for _ in range(2):  # the second from the cache
            answer = (await service.get("/api/v1/requests/stats", **span, group_by=by)).json()
            groups = grouped(logs, [by])
            assert [disagreement(row, groups[row["group"][by],]) for row in answer["data"]] == [""] * len(groups)
    facets = (await service.get("/api/v1/requests/facets", **span)).json()["facets"]
    for name in ("user", "status", "cached"):
        assert {value["value"]: value["requests"] for value in facets[name]["values"]} == counted(logs, name)
    for user in (None, "ann"):
        listed = await service.listed(pageSize="0", **({"user_id": user} if user else {}))
        assert listed["totalCount"] == len([log for log in logs if user in (None, log.user_id)])
