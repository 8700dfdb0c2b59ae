"""What a filter and a search find, by example."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.request_log import Bodies
from tests.support.asking import numbered_ids, rule
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.query_service import QueryService

FILTERS = json.loads((Path(__file__).parents[1] / "golden" / "llm_report_list" / "filters.json").read_text())


async def test_known_filter_texts_mean_what_they_say(service: QueryService) -> None:
    def log(number: int, **changes: Any) -> Any:
        return a_request_log(
            id=an_id(A_TIME, number), bodies=Bodies(request_headers='{"A": "10", "x-b": "az"}'), **changes
        )

    await service.add(
        log(1, metadata=(("env", "production"), ("n", "420"))),
        log(2, metadata=(("env", "dev"),), status_code=404),
    )
    total: dict[str, int | None] = {}
    for text in FILTERS:
        answer = await service.get("/api/v1/requests", filter=text)
        total[text] = answer.json()["totalCount"] if answer.status_code == 200 else None
        assert answer.status_code in (200, 400)
    assert [total[text] for text in FILTERS] == [2, None, 2, None, 1, None, 2, 1, 0, 2]


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("status", "=", "200", [1]),
        ("status", "!=", 200, [2]),
        ("status", "null", None, [3]),
        ("status", ">=", 199.5, [1, 2]),
        ("status", "<", 404.0, [1]),
        ("status", "between", "100, 404", [1, 2]),
        ("status", "notIn", [404], [1]),
        ("tokens", "<", 7.5, [1]),
        ("tokens", ">", 7.5, [2]),
        ("tokens", "=", 7.5, []),
        ("cost", "=", 0.15, [1]),
        ("cost", ">", "1e-3", [1]),
        ("duration", "<=", 100.25, [1]),
        ("createdAt", ">=", "2026-03-14T15:09:26.535Z", [1, 2, 3]),
        ("createdAt", "<", A_TIME, []),
        ("createdAt", "<", "2026-03-14", []),
        ("id", "=", an_id(A_TIME, 2).upper(), [2]),
        ("id", "=", "a1", []),
        ("id", "endsWith", "3", [3]),
        ("model", "contains", "4o", [1]),
        ("model", "contains", "4O", []),
        ("model", "doesNotBeginWith", "gpt", [2]),
        ("method", "=", "POST", [1, 2, 3]),
        ("cached", "=", "true", [2]),
        ("completion", "contains", "%", [1]),
        ("completion", "null", None, [3]),
        ("completion", "!=", "b", [1]),
        ("x-metadata-env", "=", "ro", [1]),
        ("x-metadata-env", "!=", "ro", [2]),
        ("x-metadata-env", "in", ["pro"], []),
        ("x-metadata-env", "null", None, [3]),
        ("x-metadata-Env", "notNull", None, []),
        ("X-Metadata-env", "notNull", None, [1, 2]),
        ("x-team", "=", "lu", [1]),
        ("x-n", "=", 42, [1]),
        ("x-team", "notNull", None, [1]),
        ("X-Team", "doesNotContain", "red", [1]),
    ],
)
async def test_a_rule_finds(service: QueryService, field: str, operator: str, value: Any, found: list[int]) -> None:
    await service.add(
        a_request_log(
            total_tokens=7,
            cost=150_000_000_000,
            duration_ms=100.25,
            metadata=(("env", "prod"),),
            bodies=Bodies(completion="100%", request_headers='{"X-Team": "blue", "x-n": 42, "x-none": null}'),
        ),
        a_request_log(
            id=an_id(A_TIME, 2),
            status_code=404,
            model_requested="claude",
            total_tokens=8,
            cost=0,
            duration_ms=100.5,
            cached=True,
            metadata=(("env", "dev"),),
            bodies=Bodies(completion="b"),
        ),
        a_request_log(
            id=an_id(A_TIME, 3),
            status_code=None,
            model_requested=None,
            total_tokens=None,
            cost=None,
            duration_ms=None,
            metadata=(),
            bodies=Bodies(),
        ),
    )
    assert await service.ids(filter=rule(field, operator, value), sortOrder="ASC") == numbered_ids(*found)


async def test_search_looks_everywhere_in_any_letter_case_and_takes_wildcards_literally(service: QueryService) -> None:
    long = "x" * 5000
    await service.add(
        a_request_log(id=an_id(A_TIME, 1), bodies=Bodies(prompt=f"{long} Привет, МИР 100%")),
        a_request_log(id=an_id(A_TIME, 2), bodies=Bodies(completion=f"{long} Grüße_ÀÉ")),
        a_request_log(id=an_id(A_TIME, 3), provider_response_id="ChatCmpl-XYZ", bodies=Bodies(raw_request='"hidden"')),
    )
    found = {
        text: await service.ids(search=text, sortOrder="asc")
        for text in ("привет, мир", "GRÜSSE", "grüße_àé", "chatcmpl-x", "0%", "%", "_", "hidden", "Grü\\")
    }
    assert found == {
        "привет, мир": numbered_ids(1),
        "GRÜSSE": [],
        "grüße_àé": numbered_ids(2),
        "chatcmpl-x": numbered_ids(1, 2, 3)[2:],
        "0%": numbered_ids(1),
        "%": numbered_ids(1),
        "_": numbered_ids(2),
        "hidden": [],
        "Grü\\": [],
    }


async def test_search_and_user_hold_beside_a_filter_that_says_or(service: QueryService) -> None:
    for number, (user, text) in enumerate([("ann", "cat"), ("ann", "dog"), ("bob", "cat")], start=1):
        await service.add(a_request_log(id=an_id(A_TIME, number), user_id=user, bodies=Bodies(prompt=text)))
    either = json.dumps(
        {
            "combinator": "or",
            "rules": [{"field": "status", "operator": operator, "value": 0} for operator in (">", "<=")],
        }
    )
    assert await service.ids(filter=either, search="CAT", user_id="ann") == numbered_ids(1)
