"""The documented list and our own form, by example: what clients send, what they get."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.ids import ProjectId
from ledger.request_log import Bodies
from ledger.settings import QueryCaps
from tests.support.asking import numbered_ids, rule
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.query_service import QueryService, query_service

REQUESTS = json.loads((Path(__file__).parents[1] / "golden" / "llm_report_list" / "requests.json").read_text())


async def test_a_call_is_listed_with_exactly_the_documented_keys(service: QueryService) -> None:
    await service.add(
        a_request_log(
            http_ip="10.0.0.1",
            http_url="https://api.openai.com/v1/chat/completions",
            http_method="POST",
            cost=1_234_567_890,
            bodies=Bodies(
                completion="Hello!",
                raw_request='{"model": "gpt-4o",  "n": 1.50}',
                raw_response="no JSON",
                raw_stream="data: {}\n\n",
            ),
        )
    )
    answer = await service.get("/api/v1/requests")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "requests": [
            {
                "id": an_id(A_TIME, 1),
                "createdAt": "2026-03-14T15:09:26.535Z",
                "updatedAt": "2026-03-14T15:09:26.540Z",
                "ip": "10.0.0.1",
                "url": "https://api.openai.com/v1/chat/completions",
                "method": "POST",
                "status": 200,
                "cached": False,
                "streamed": False,
                "user_id": "user:1",
                "completion": "Hello!",
                "model": "gpt-4o",
                "openai_id": "chatcmpl-1",
                "prompt_tokens": 12,
                "completion_tokens": 3,
                "request_body": {"model": "gpt-4o", "n": 1.5},
                "response_body": "no JSON",
                "streamed_response_body": "data: {}\n\n",
                "cost": 0.00123456789,
            }
        ],
        "totalCount": 1,
    }


async def test_the_documented_types_are_texts(service: QueryService) -> None:
    await service.add(a_request_log(bodies=Bodies(raw_request='{"n":  1.50}')))
    (item,) = (await service.listed(types="documented"))["requests"]
    assert (item["status"], item["request_body"], item["response_body"]) == ("200", '{"n":  1.50}', None)


async def test_what_is_unknown_is_null_or_empty_and_never_zero(service: QueryService) -> None:
    await service.add(
        a_request_log(
            status_code=None,
            user_id=None,
            model_requested=None,
            provider_response_id=None,
            input_tokens=None,
            output_tokens=None,
            cost=None,
            bodies=Bodies(),
        )
    )
    for types in ("real", "documented"):
        (item,) = (await service.listed(types=types))["requests"]
        nulls = {name for name, value in item.items() if value is None}
        assert nulls == {
            *("status", "user_id", "completion", "model", "prompt_tokens", "completion_tokens"),
            *("request_body", "response_body", "streamed_response_body", "cost"),
        }
        assert (item["ip"], item["url"], item["method"], item["openai_id"]) == ("", "", "POST", "")


@pytest.mark.parametrize("sent", REQUESTS, ids=lambda sent: str(sent["name"]))
async def test_the_requests_of_real_clients_are_answered(service: QueryService, sent: dict[str, Any]) -> None:
    await service.add(a_request_log(user_id="user@example.com", metadata=(("env", "prod"), ("tier", "free"))))
    headers = {name: value.replace("<LLM_REPORT_API_KEY>", service.keys.shop) for name, value in sent["headers"]}
    async with service.http() as client:
        answer = await client.request(sent["method"], sent["path"], headers=headers)
    expected = {"14-no-auth": 401, "15-post-not-allowed": 405}.get(sent["name"], 200)
    assert answer.status_code == expected, answer.text
    if expected == 200:
        found = {"07-dashboard-search-page2-sorted": 0, "10-dashboard-filter-numeric-value": 0}.get(sent["name"], 1)
        assert answer.json()["totalCount"] == found


async def test_empty_and_unknown_parameters_are_ignored(service: QueryService) -> None:
    await service.add(a_request_log())
    empty = dict.fromkeys(("user_id", "search", "sortBy", "sortOrder", "pageSize", "pageNumber", "filter", "types"), "")
    assert await service.ids(**empty, colour="blue", limit="x", view="", **{"from": "yesterday"}) == numbered_ids(1)


async def test_a_page_of_size_zero_is_empty_but_counted(service: QueryService) -> None:
    await service.add(a_request_log())
    assert await service.listed(pageSize="0") == {"requests": [], "totalCount": 1}
    assert await service.listed(pageNumber="999999999999999", pageSize="0") == {"requests": [], "totalCount": 1}


async def test_a_page_behind_the_last_one_is_empty_and_one_beyond_a_million_rows_is_refused(
    service: QueryService,
) -> None:
    await service.add(a_request_log())
    assert await service.listed(pageNumber="100", pageSize="10000") == {"requests": [], "totalCount": 1}
    answer = await service.get("/api/v1/requests", pageNumber="101", pageSize="10000")
    assert answer.status_code == 422
    assert "view=full&cursor=" in answer.json()["error"]


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": "10001"},
        {"pageSize": "-1"},
        {"pageSize": "1.0"},
        {"pageSize": "٣"},
        {"pageNumber": "0"},
        {"pageNumber": "9" * 5000},
        {"sortBy": "model"},
        {"sortBy": "createdat"},
        {"sortOrder": "up"},
        {"types": "other"},
        {"view": "compact"},
        {"user_id": "u" * 4097},
        {"search": "ж" * 2049},
        {"cursor": "nonsense"},
        {"cursor": "", "sortBy": "cost"},
        {"view": "full", "limit": "0"},
        {"view": "full", "limit": "1001"},
        {"view": "full", "from": "yesterday"},
        {"view": "full", "to": "now-1y"},
        {"filter": rule("status", "=", "many")},
        {"filter": rule("request_body", "=", "a")},
        {"filter": rule("project", "=", "shop") + "x"},
        {"filter": '{"project": "shop"}'},
        {"filter": '{"colour": "blue"}'},
    ],
    ids=str,
)
async def test_a_wrong_parameter_is_named_in_a_400(service: QueryService, query: dict[str, str]) -> None:
    answer = await service.get("/api/v1/requests", **query)
    assert answer.status_code == 400
    name = "sortBy" if "sortBy" in query else list(query)[-1]
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(f"{name}: ")


async def test_our_own_form_shows_previews_and_exact_money(service: QueryService) -> None:
    await service.add(a_request_log(cost=1, cost_provided=None, bodies=Bodies(prompt="p" * 300, completion="c")))
    content = (await service.get("/api/v1/requests", view="full")).json()
    (row,) = content["data"]
    assert content["next_cursor"] is None
    assert (row["prompt_preview"], row["completion_preview"]) == ("p" * 200, "c")
    assert (row["cost"], row["cost_provided"], row["cost_status"]) == ("0.000000000001", None, "computed")
    assert row["metadata"] == {"env": "prod"}
    assert not {"prompt", "completion", "raw_request", "raw_response", "raw_stream", "media"} & set(row)


async def test_our_own_form_is_bounded_by_from_and_to(service: QueryService) -> None:
    hour = 3_600_000
    now = 1_775_001_600_000  # the service's clock: 2026-04-01
    times = [now - 3 * hour, now - 2 * hour, now - hour, now]
    await service.add(*(a_request_log(created_at=ms) for ms in times))

    async def found(**query: str) -> list[int]:
        content = (await service.get("/api/v1/requests", view="full", **query)).json()
        return [times.index(int(row["id"].replace("-", "")[:12], 16)) for row in content["data"]]

    assert await found(**{"from": "now-2h"}) == [3, 2, 1]
    assert await found(**{"from": "now-120m", "to": "now"}) == [2, 1]
    assert await found(to="2026-03-31T22:00:00Z") == [0]
    assert await found(**{"from": "2026-04-01T02:00:00+02:00"}) == [3]


async def test_over_all_projects_the_project_is_a_filter(service: QueryService) -> None:
    await service.add(a_request_log(), a_request_log(id=an_id(A_TIME, 2), project=ProjectId("bank")))
    everything = service.keys.everything
    assert await service.ids(everything) == numbered_ids(2, 1)
    assert await service.ids(everything, filter=rule("project", "=", "bank")) == numbered_ids(2)
    assert await service.ids(everything, filter='{"project": "shop"}') == numbered_ids(1)
    assert await service.ids(service.keys.bank, filter=rule("project", "=", "shop")) == []


async def test_a_page_larger_than_one_look_up_is_whole_and_in_order(service: QueryService) -> None:
    await service.add(*(a_request_log(id=an_id(A_TIME, number), bodies=Bodies()) for number in range(2500)))
    ids = await service.ids(pageSize="10000", sortBy="id", sortOrder="asc")
    assert ids == numbered_ids(*range(2500))


async def test_what_costs_too_much_is_refused_with_advice(
    service: QueryService, chdb_schema_dsn: str, tmp_path: Path
) -> None:
    bodies = Bodies(raw_request='"' + "x" * 2000 + '"')
    await service.add(*(a_request_log(id=an_id(A_TIME, number), bodies=bodies) for number in range(3000)))
    with query_service(chdb_schema_dsn, tmp_path, QueryCaps(max_answer_bytes=1_000_000)) as tight:
        answer = await tight.get("/api/v1/requests", pageSize="3000")
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("The answer would be larger than 1000000 bytes")
        assert (await tight.get("/api/v1/requests", pageSize="10")).status_code == 200
    bulky = Bodies(prompt="x" * 1_000_000)
    await service.add(*(a_request_log(id=an_id(A_TIME, number), bodies=bulky, version=2) for number in range(20)))
    with query_service(chdb_schema_dsn, tmp_path, QueryCaps(max_memory_bytes=5_000_000)) as tight:
        answer = await tight.get("/api/v1/requests", search="x", pageSize="1")
        assert answer.status_code == 422
        assert "memory" in answer.json()["error"]
