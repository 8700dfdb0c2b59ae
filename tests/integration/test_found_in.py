"""Of each row a list says in which of its texts the words stand, as the texts are now."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.request_log import Bodies, RequestLog
from tests.support.asking import rule
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.query_service import QueryService, query_service


def call(number: int, prompt: str | None, completion: str | None, **more: Any) -> RequestLog:
    bodies = Bodies(prompt=prompt, completion=completion)
    return a_request_log(id=an_id(A_TIME, number), bodies=bodies, **more)


ONLY_PROMPT = call(1, "The Brown fox", "hello")
BOTH = call(2, "a brown fox", "brownies")
ONLY_COMPLETION = call(3, None, "BROWN ПРИВЕТ")
NOWHERE = call(4, "hello", None, provider_response_id="brown-1")


@pytest.fixture
async def service(chdb_schema_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[QueryService]:
    with query_service(chdb_schema_dsn, tmp_path_factory.mktemp("keys")) as running:
        await running.clear()
        await running.add(ONLY_PROMPT, BOTH, ONLY_COMPLETION, NOWHERE)
        yield running


async def places(service: QueryService, **query: str) -> dict[str, Any]:
    """What is said of each row; `None` where nothing is."""
    answer = await service.get("/api/v1/requests", view="full", **query)
    assert answer.status_code == 200, answer.text
    return {row["id"]: row.get("found_in") for row in answer.json()["data"]}


async def test_a_word_is_found_in_the_prompt_in_the_completion_or_in_both(service: QueryService) -> None:
    assert await places(service, q="brown") == {
        ONLY_PROMPT.id: ["prompt"],
        BOTH.id: ["completion", "prompt"],
        ONLY_COMPLETION.id: ["completion"],
    }


async def test_a_word_that_is_looked_for_on_one_side_is_said_of_that_side_alone(service: QueryService) -> None:
    assert await places(service, q="prompt:brown") == {ONLY_PROMPT.id: ["prompt"], BOTH.id: ["prompt"]}
    assert await places(service, q="completion:brown") == {
        BOTH.id: ["completion"],
        ONLY_COMPLETION.id: ["completion"],
    }


async def test_several_words_are_said_together(service: QueryService) -> None:
    assert await places(service, q="prompt:fox completion:hello") == {ONLY_PROMPT.id: ["completion", "prompt"]}
    assert await places(service, q="привет OR fox") == {
        ONLY_PROMPT.id: ["prompt"],
        BOTH.id: ["prompt"],
        ONLY_COMPLETION.id: ["completion"],
    }


async def test_a_row_that_is_listed_for_another_reason_says_that_no_text_holds_the_word(service: QueryService) -> None:
    assert (await places(service, search="brown"))[NOWHERE.id] == []
    assert await places(service, q="absent OR provider_id:brown-1") == {NOWHERE.id: []}


async def test_nothing_is_said_where_no_text_is_looked_for(service: QueryService) -> None:
    nothing = dict.fromkeys([ONLY_PROMPT.id, BOTH.id, ONLY_COMPLETION.id, NOWHERE.id])
    assert await places(service) == nothing
    assert await places(service, q="-absent") == nothing
    assert await places(service, filter=rule("status", "=", 200)) == nothing


async def test_it_follows_the_texts_when_they_change(service: QueryService) -> None:
    texts = Bodies(prompt="a fox", completion="brown at last")
    await service.add(replace(ONLY_PROMPT, version=2, bodies=texts))
    assert (await places(service, q="brown"))[ONLY_PROMPT.id] == ["completion"]
    await service.store.insert_rows([replace(BOTH, version=2, status_code=500)], "only the row")
    assert await places(service, q="brown status:500") == {BOTH.id: ["completion", "prompt"]}


async def test_every_page_says_it_of_its_own_rows(service: QueryService) -> None:
    first = (await service.get("/api/v1/requests", view="full", q="brown", limit="1")).json()
    second = (await service.get("/api/v1/requests", cursor=first["next_cursor"], q="brown", limit="1")).json()
    assert [row["found_in"] for row in first["data"] + second["data"]] == [["completion"], ["completion", "prompt"]]
