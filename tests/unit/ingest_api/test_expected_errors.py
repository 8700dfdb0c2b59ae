"""The answers that existing clients know, request by request."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_api.routes import PATHS
from tests.unit.ingest_api.service import PROJECT, IngestService, a_pezzo_report, as_json

GOLDEN = Path(__file__).parents[2] / "golden" / "expected_errors.json"
LARGE = "<a good report of 110084 bytes>"


def pairs() -> list[Any]:
    """Those of our own paths, and what is no path at all."""
    served = (*PATHS, "/nope")
    return [
        pytest.param(pair, id=f"{pair['system']}: {pair['case']}")
        for pair in json.loads(GOLDEN.read_text())
        if pair["request"]["path"] in served
    ]


def headers_of(pair: dict[str, Any], service: IngestService) -> dict[str, str]:
    """The request's headers with real keys in place of `good`, `k` and `p`."""
    texts = service.texts
    stand_ins = {"k": texts.good, "p": PROJECT, "good": texts.good, "read-only": texts.read_only}
    words = {name: value.split(" ") for name, value in pair["request"]["headers"].items()}
    return {name: " ".join(stand_ins.get(word, word) for word in value) for name, value in words.items()}


def body_of(pair: dict[str, Any]) -> bytes:
    """The request's body."""
    body = pair["request"]["body"] or ""
    if body != LARGE:
        return str(body).encode()
    return as_json(a_pezzo_report(padding="x" * 110_084))


@pytest.mark.parametrize("pair", pairs())
async def test_a_request_gets_the_answer_that_its_client_knows(
    pair: dict[str, Any], service: IngestService, client: httpx.AsyncClient
) -> None:
    request, expected = pair["request"], pair["response"]
    answer = await client.request(
        request["method"], request["path"], headers=headers_of(pair, service), content=body_of(pair)
    )
    assert answer.status_code == expected["status"]
    assert answer.headers["content-type"] == expected["content_type"]
    assert without_what_is_free(answer.json(), expected["body"]) == expected["body"]


def without_what_is_free(body: Any, expected: Any) -> Any:
    """The body with placeholders where every text is right."""
    free = {"<id>", "<text>"}
    return {key: expected[key] if expected.get(key) in list(free) and value else value for key, value in body.items()}
