"""The same statements over ClickHouse's HTTP interface: values, settings and error codes travel another way there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.filtering.filter_text import parse_filter
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.request_log import Bodies
from ledger.settings import QueryCaps
from query_api import listing
from query_api.conditions import Conditions
from query_api.reading import Reader
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.chdb_fixtures import with_schema
from tests.support.listing_model import Asked, expected
from tests.support.listing_strategies import many_rows
from tests.support.query_service import QueryService, query_service

pytestmark = pytest.mark.clickhouse

AWKWARD = [
    Asked(filter={"combinator": "and", "rules": [{"field": "model", "operator": "in", "value": ["o'neil\\", "a%_b"]}]}),
    Asked(search="яЯ\\"),
    Asked(search="tab\there"),
    Asked(filter={"combinator": "or", "rules": [{"field": "cost", "operator": ">", "value": 0.15}], "not": True}),
    Asked(filter={"combinator": "and", "rules": [{"field": "x-team", "operator": "=", "value": "e"}]}),
    Asked(sort_by="cost", ascending=True),
]


@pytest.fixture
def service(clickhouse_database: str, tmp_path: Path) -> Iterator[QueryService]:
    with query_service(with_schema(clickhouse_database), tmp_path) as running:
        yield running


async def test_the_list_is_the_same_over_http(service: QueryService) -> None:
    logs = many_rows(120, seed=11)
    await service.add(*logs)
    mine = [log for log in logs if log.project == "shop"]
    for asked in AWKWARD:
        wanted = [log.id for log in expected(mine, asked)]
        assert wanted
        assert await service.ids(**asked.query(), pageSize="1000") == wanted


async def test_a_large_page_and_a_long_list_of_values_fit(service: QueryService) -> None:
    await service.add(*(a_request_log(id=an_id(A_TIME, number), bodies=Bodies()) for number in range(1500)))
    ids = [an_id(A_TIME, number) for number in range(1500)]
    assert await service.ids(pageSize="10000", sortBy="id", sortOrder="asc") == ids
    rules = f'{{"combinator":"and","rules":[{{"field":"id","operator":"in","value":"{",".join(ids[:1000])}"}}]}}'
    assert (await service.listed(filter=rules, pageSize="1"))["totalCount"] == 1000


async def test_the_longest_list_of_texts_fits_although_its_characters_are_escaped(service: QueryService) -> None:
    await service.add(a_request_log(model_requested="'" * 50 + "7"))
    texts = ",".join("'" * 50 + str(number) for number in range(1000))
    rules = f'{{"combinator":"and","rules":[{{"field":"model","operator":"in","value":"{texts}"}}]}}'
    statement = listing.count(Conditions(filter=parse_filter(rules)), Reach(ProjectId("shop")))
    assert await Reader(service.pool, QueryCaps()).count(statement) == 1


async def test_too_costly_answers_are_told_apart_over_http(service: QueryService, tmp_path: Path) -> None:
    await service.add(*(a_request_log(id=an_id(A_TIME, n), bodies=Bodies(raw_stream="x" * 2000)) for n in range(100)))
    with query_service(service.dsn, tmp_path, QueryCaps(max_answer_bytes=20_000)) as tight:
        assert (await tight.get("/api/v1/requests", pageSize="100")).status_code == 422
        assert (await tight.get("/api/v1/requests", pageSize="5")).status_code == 200
