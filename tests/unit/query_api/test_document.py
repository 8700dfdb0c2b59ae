"""The API document says what is served, and importing the service does nothing."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from query_api.openapi import LIST_PARAMETERS
from query_api.routes import ROUTES
from tests.support.query_service import QueryService, query_service

LIST, SINGLE, MEDIA = "/api/v1/requests", "/api/v1/requests/{record_id}", "/api/v1/media/{sha256}"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[QueryService]:
    """A service whose store is never asked."""
    with query_service("http://127.0.0.1:9/nowhere", tmp_path) as running:
        yield running


@pytest.fixture
async def document(service: QueryService) -> Any:
    """The document as it is served."""
    answer = await service.get("/schema", "")
    assert answer.status_code == 200
    return answer.json()


async def test_the_document_names_every_route_that_a_dispatcher_is_told_of(document: Any) -> None:
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert served == {*ROUTES, ("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/version")}


async def test_the_list_names_its_parameters_and_both_forms(document: Any) -> None:
    operation = document["paths"][LIST]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == [
        *("user_id", "search", "q", "filter", "sortBy", "sortOrder", "pageSize", "pageNumber", "types"),
        *("view", "cursor", "limit", "from", "to"),
    ]
    assert not any(parameter["required"] for parameter in operation["parameters"])
    answers = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert {answer["$ref"].rpartition("/")[2] for answer in answers} == {
        "RequestList",
        "DocumentedRequestList",
        "RequestLogPage",
    }


async def test_errors_and_keys_are_documented(document: Any) -> None:
    expected = {LIST: {"200", "400", "401", "422", "429", "503"}, SINGLE: {"200", "401", "404", "422", "429", "503"}}
    for path, statuses in expected.items():
        operation = document["paths"][path]["get"]
        assert set(operation["responses"]) == statuses
        assert operation["security"] == [{"bearer": []}, {"apiKey": []}]
        for status in statuses - {"200"}:
            schema = operation["responses"][status]["content"]["application/json"]["schema"]
            assert schema["$ref"].endswith("/ErrorBody")
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert set(document["paths"][MEDIA]["get"]["responses"]) == {"200", "304", "401", "404", "422", "429", "503"}


@pytest.mark.parametrize("parameter", LIST_PARAMETERS, ids=lambda parameter: str(parameter.name))
async def test_every_documented_parameter_is_read(service: QueryService, parameter: Any) -> None:
    wrong = {"user_id": "u" * 5000, "search": "s" * 5000, "q": "q" * 5000}.get(parameter.name, "\u2603")
    own = {"view": "full"} if parameter.name in ("limit", "from", "to") else {}
    answer = await service.get(LIST, **{**own, parameter.name: wrong})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{parameter.name}: ")


def test_importing_the_service_needs_no_environment_and_starts_nothing() -> None:
    script = "import threading, query_api.app; assert threading.active_count() == 1"
    subprocess.run([sys.executable, "-c", script], check=True, env={}, cwd=Path(__file__).parents[3])
