"""Words that mean something to an engine, in every parameter and every field of a filter, are only words.

The rows are those that a plain Python model finds, or the answer is a clean 4xx; no answer shows anything of SQL.
`LLMLEDGER_TEST_EXAMPLES` says how many more questions are asked than the fixed ones.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog
from query_api.openapi import LIST_PARAMETERS
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.chdb_fixtures import fresh_database, with_schema
from tests.support.listing_model import Asked, expected
from tests.support.query_service import QueryService, query_service

HOSTILE = [
    "' OR 1=1 --",
    "'; DROP TABLE request_logs; --",
    "\\'; SELECT 1",
    "\\",
    "\\\\'",
    "' UNION ALL SELECT * FROM system.users --",
    "1) SETTINGS readonly = 0",
    "x' SETTINGS max_execution_time=0, allow_ddl=1",
    "FORMAT JSON",
    "INTO OUTFILE '/tmp/x'",
    "{p1:String}",
    "{p1:Identifier}",
    "%(p1)s",
    "%s %d %%",
    "$1 ${x} {{7*7}}",
    "%",
    "_",
    "a%b_c\\%",
    "(?i).*",
    "[[:alpha:]]+(a+)+$",
    "^$.|?*+()[]{}",
    "\x00",
    "a\x00b",
    "\\x00\\n\\t\\0",
    "\r\nX-Injected: 1",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj",
    "\N{FULLWIDTH APOSTROPHE} OR 1",
    "`project`",
    '"project"',
    "/* */ -- #",
    "file('/etc/passwd')",
    "url('http://127.0.0.1/')",
    "sleep(3)",
    "NULL",
    "\\N",
    "inf",
    "nan",
    "0x41",
    "1e999",
    "\N{GRINNING FACE}'",
]
LEAKS = re.compile(
    r"DB::|Code: \d+|clickhouse|chdb|request_logs|request_bodies|SELECT .* FROM|Traceback|\.py\b|syntax error|UNKNOWN_",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Words:
    """A service with a row for each hostile word, which stands in every text of it."""

    service: QueryService
    logs: list[RequestLog]


def worded(number: int, word: str) -> RequestLog:
    """A row that says this word wherever a row says anything."""
    return replace(
        a_request_log(project=ProjectId("shop"), created_at=A_TIME, id=an_id(A_TIME, number)),
        user_id=word,
        model_requested=word,
        provider_response_id=word,
        http_ip=word,
        metadata=(("env", word),),
        bodies=Bodies(prompt=f"p {word} p", completion=word, raw_request="", request_headers=json.dumps({"x-w": word})),
    )


@pytest.fixture(scope="module")
def words(chdb_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Words]:
    """The rows of the first project; the second one has the same words and must never be seen."""
    logs = [worded(number, word) for number, word in enumerate(HOSTILE)]
    foreign = [replace(worded(1000 + number, word), project=ProjectId("bank")) for number, word in enumerate(HOSTILE)]
    with (
        fresh_database(chdb_engine) as dsn,
        query_service(with_schema(dsn), tmp_path_factory.mktemp("keys")) as service,
    ):
        asyncio.run(service.add(*logs, *foreign))
        yield Words(service, logs)


def is_clean(answer: httpx.Response, asked: str) -> None:
    """Fail for a server error, for a trace of the engine, and for a header that the question brought in."""
    assert answer.status_code < 500, f"{asked}: {answer.text}"
    assert "x-injected" not in answer.headers
    if answer.status_code >= 400:
        told = answer.text.replace(json.dumps(asked)[1:-1], "")
        assert not LEAKS.search(told), told


async def agrees(words: Words, asked: Asked) -> None:
    """Fail unless the service finds what the model finds."""
    answer = await words.service.get("/api/v1/requests", **asked.query(), pageSize="1000")
    is_clean(answer, json.dumps(asked.query()))
    assert answer.status_code == 200, answer.text
    found = [item["id"] for item in answer.json()["requests"]]
    assert found == [log.id for log in expected(words.logs, asked)], asked


def group(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"combinator": "and", "rules": [{"field": field, "operator": operator, "value": value}]}


TEXT_FIELDS = ["user_id", "model", "openai_id", "ip", "completion", "x-metadata-env", "x-w"]
OPERATORS = ["=", "!=", "contains", "beginsWith", "endsWith", "doesNotContain", "<", ">="]


@pytest.mark.parametrize("word", HOSTILE)
async def test_a_hostile_word_finds_the_rows_that_say_it(word: str, words: Words) -> None:
    await agrees(words, Asked(user_id=word))
    await agrees(words, Asked(search=word))
    rules = [{"field": field, "operator": "contains", "value": word} for field in TEXT_FIELDS]
    await agrees(words, Asked(filter={"combinator": "and", "rules": rules}))
    await agrees(words, Asked(filter=group("user_id", "in", [word, "' OR '1'='1"])))


PIECES = st.sampled_from([*HOSTILE, "'", '"', "\\", "%", "_", "a", "", "*", "{", "}"])
COMPOSED = st.lists(PIECES, min_size=1, max_size=3).map("".join)


@settings(
    max_examples=int(os.environ.get("LLMLEDGER_TEST_EXAMPLES", "50")),
    deadline=None,
    phases=[Phase.generate],
    print_blob=True,
)
@given(field=st.sampled_from(TEXT_FIELDS), operator=st.sampled_from(OPERATORS), word=COMPOSED)
async def test_whatever_is_composed_of_them_finds_what_the_model_finds(
    words: Words, field: str, operator: str, word: str
) -> None:
    await agrees(words, Asked(filter=group(field, operator, word)))


PARAMETERS = [parameter.name for parameter in LIST_PARAMETERS]
AS_PARTS_OF_A_FILTER: list[Callable[[str], Any]] = [
    lambda word: {word: "x"},
    lambda word: {"user_id": {word: word}},
    lambda word: group(word, "=", "x"),
    lambda word: group(f"x-metadata-{word}", "=", "x"),
    lambda word: group("user_id", word, "x"),
    lambda word: group("status", "=", word),
    lambda word: group("cost", ">", word),
    lambda word: group("createdAt", "between", [word, word]),
    lambda word: group("id", "contains", word),
    lambda word: group("cached", "=", word),
    lambda word: {"combinator": word, "rules": []},
    lambda word: {"combinator": "and", "rules": [word], "not": word},
    lambda word: {"combinator": "and", "rules": [{"field": "user_id", "operator": "=", "valueSource": word}]},
]


@pytest.mark.parametrize("name", PARAMETERS)
async def test_a_hostile_word_in_any_parameter_is_answered_cleanly(name: str, words: Words) -> None:
    others = {"cursor": ""} if name in {"limit", "from", "to"} else {}
    async with words.service.http() as client:
        for word in HOSTILE:
            query = others | {name: word}
            headers = {"Authorization": words.service.keys.shop}
            is_clean(await client.get("/api/v1/requests", params=query, headers=headers), word)


@pytest.mark.parametrize("part", range(len(AS_PARTS_OF_A_FILTER)))
async def test_a_hostile_word_in_any_part_of_a_filter_is_answered_cleanly(part: int, words: Words) -> None:
    for word in HOSTILE:
        filter_text = json.dumps(AS_PARTS_OF_A_FILTER[part](word))
        is_clean(await words.service.get("/api/v1/requests", filter=filter_text), word)


@pytest.mark.parametrize("path", ["/api/v1/requests/", "/api/v1/media/", "/api/v1/status?position="])
async def test_a_hostile_word_as_an_id_is_answered_cleanly(path: str, words: Words) -> None:
    for word in HOSTILE:
        address = path + httpx.QueryParams({"q": word}).__str__().removeprefix("q=")
        answer = await words.service.get(address)
        is_clean(answer, word)
        assert answer.status_code in {400, 404}


async def test_bytes_that_are_no_text_are_answered_cleanly(words: Words) -> None:
    for name in PARAMETERS:
        is_clean(await words.service.get(f"/api/v1/requests?{name}=%FF%FE%00%C3"), name)


async def test_after_all_of_this_every_row_is_still_there(words: Words) -> None:
    assert len(await words.service.ids(pageSize="1000")) == len(HOSTILE)
    assert len(await words.service.ids(words.service.keys.bank, pageSize="1000")) == len(HOSTILE)


@pytest.mark.parametrize(
    "told",
    [
        "Code: 62. DB::Exception: Syntax error: failed at position 9",
        "SELECT id FROM request_logs",
        'File "a.py", line 1',
    ],
)
def test_what_looks_for_traces_of_the_engine_would_find_them(told: str) -> None:
    with pytest.raises(AssertionError):
        is_clean(httpx.Response(400, json={"error": told}), "a question")
