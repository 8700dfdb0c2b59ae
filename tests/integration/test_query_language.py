"""What the search language finds in the engine is what a plain model of it says, for every field and sign."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ledger.filtering.filters import condition
from ledger.filtering.query_fields import FIELDS
from ledger.filtering.query_text import parse_query
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.filtering.texts import split
from ledger.filtering.tree import Group
from ledger.ids import ProjectId, from_int
from ledger.request_log import RequestLog
from ledger.store.clickhouse import ClickHousePool, ClickHouseStore
from tests.support.chdb_fixtures import fresh_database, with_schema
from tests.support.query_service import QueryService
from tests.support.query_terms import QUERIES, TERMS, Term, rows

AT_ONCE = 40  # conditions of one statement
LOGS = rows(120, seed=5)
SHOP = Reach(ProjectId("shop"))
EVERYTHING = Reach(None)


@pytest.fixture(scope="module")
def pool(chdb_engine: str) -> Iterator[ClickHousePool]:
    """A store of rows whose fields are of all sorts, many of them absent."""
    with fresh_database(chdb_engine) as dsn:
        opened = ClickHousePool(with_schema(dsn), threads=2)
        try:
            asyncio.run(stored(ClickHouseStore(opened)))
            yield opened
        finally:
            opened.close()


async def stored(store: ClickHouseStore) -> None:
    await store.insert_bodies(LOGS, "bodies")
    await store.insert_rows(LOGS, "rows")


def parsed(text: str) -> Group:
    found = parse_query(text)
    assert found is not None
    return found


async def outcomes(pool: ClickHousePool, groups: Sequence[Group], reach: Reach) -> list[dict[str, int]]:
    """What each condition says of each row, by its id: 0, 1, or 2 for a NULL."""
    bound = Bound()
    conditions = ", ".join(f"ifNull(toInt8({condition(group, reach, bound)}), 2)" for group in groups)
    statement = bound.statement(f"SELECT id, {conditions} FROM request_logs FINAL WHERE {reach.clause(bound)}")
    answers = await asked(pool, statement)
    return [{from_int(row[0]): row[place] for row in answers} for place in range(1, len(groups) + 1)]


async def asked(pool: ClickHousePool, statement: Statement) -> Sequence[Sequence[Any]]:
    values = dict(statement.values)
    found = await pool.run(lambda client: client.query(statement.sql, parameters=values))
    return found.result_rows


def said_by_model(term: Term, logs: Sequence[RequestLog]) -> dict[str, int]:
    return {log.id: int(bool(term.holds(log))) for log in logs}


@pytest.mark.parametrize("begin", range(0, len(TERMS), AT_ONCE))
async def test_every_field_means_what_the_model_says(pool: ClickHousePool, begin: int) -> None:
    terms = TERMS[begin : begin + AT_ONCE]
    found = await outcomes(pool, [parsed(term.text) for term in terms], EVERYTHING)
    assert {term.text: answer for term, answer in zip(terms, found, strict=True)} == {
        term.text: said_by_model(term, LOGS) for term in terms
    }


def test_the_terms_tell_rows_apart_by_every_field() -> None:
    telling = {
        term.text.partition(":")[0].partition(".")[0]
        for term in TERMS
        if 0 < sum(said_by_model(term, LOGS).values()) < len(LOGS)
    }
    assert set(FIELDS) <= telling


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate], print_blob=True)
@given(terms=st.lists(QUERIES.filter(lambda term: "project:" not in term.text), min_size=8, max_size=8))
async def test_what_is_joined_means_what_the_model_says(pool: ClickHousePool, terms: list[Term]) -> None:
    found = await outcomes(pool, [parsed(term.text) for term in terms], SHOP)
    mine = [log for log in LOGS if log.project == "shop"]
    assert found == [said_by_model(term, mine) for term in terms]


async def test_words_taken_out_and_the_rest_mean_the_same_together(pool: ClickHousePool) -> None:
    whole = parsed('b user:ann (prompt:a status:(200 OR 404)) -"_" OR cached:true b')
    texts = ["b cached:true", 'a (prompt:b has:user) -"_"', "(b OR user:ann) a"]
    for group in [whole, *map(parsed, texts)]:
        words, rest = split(group)
        together = Group(False, False, (*words, *((rest,) if rest else ())))
        one, other = await outcomes(pool, [group, together], SHOP)
        assert one == other
        assert 0 < sum(one.values()) < len(one)


async def test_a_list_takes_a_query_beside_its_other_parameters(service: QueryService) -> None:
    await service.add(*LOGS)
    mine = [log for log in LOGS if log.project == "shop" and log.user_id == "ann"]
    wanted = {log.id for log in mine if not log.cached}
    answer = await service.get("/api/v1/requests", view="full", limit="1000", q="-cached:true", user_id="ann")
    assert answer.status_code == 200, answer.text
    assert {row["id"] for row in answer.json()["data"]} == wanted
    assert 0 < len(wanted) < len(mine)


@pytest.mark.parametrize("text", ["a foo:bar", "a project:shop"])
async def test_a_query_that_is_not_understood_is_said_with_its_character(service: QueryService, text: str) -> None:
    answer = await service.get("/api/v1/requests", view="full", q=text)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("q: character 3: ")
