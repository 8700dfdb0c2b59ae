"""Whatever the API document allows, and what it forbids, is answered in a way that the document names.

`LLMLEDGER_TEST_EXAMPLES` says how many requests each endpoint gets (by default a few; 2000 take half an hour).
"""

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.standalone_process import Standalone

EXAMPLES = int(os.environ.get("LLMLEDGER_TEST_EXAMPLES", "6"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
ENDLESS = "/api/v1/requests/tail"
"""A stream that goes on until its reader leaves, unless it is told when to end."""

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]
OUR_SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],
    derandomize="LLMLEDGER_TEST_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def test_every_endpoint_answers_as_its_document_says(attacked: Standalone, keys_by_scope: dict[str, str]) -> None:
    document = schemathesis.openapi.from_url(f"{attacked.url}/schema/openapi.json")
    operations = [found.ok() for found in document.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 20
    complaints = [text for operation in operations if (text := complaint_about(operation, attacked.url, keys_by_scope))]
    assert not complaints, "\n\n".join(complaints)


def complaint_about(operation: Operation, url: str, keys_by_scope: dict[str, str]) -> str:
    """What was not as documented; '' when all was well."""

    @OUR_SETTINGS
    @given(case=cases(operation), key=st.sampled_from([*keys_by_scope.values(), "nobody", ""]))
    def ask(case: AnyCase, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}", "x-api-key": key, "x-pezzo-api-key": key}
        if operation.path == ENDLESS:
            case.query = {**(case.query or {}), "seconds": "0"}
        answer = case.call(base_url=url, headers=headers | {"x-pezzo-project-id": "default"}, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    try:
        ask()
    except (AssertionError, BaseExceptionGroup) as error:
        return f"{operation.label}: {error}"
    return ""


def cases(operation: Operation) -> st.SearchStrategy[AnyCase]:
    """Requests as the document wants them and, where there is something to get wrong, as it does not."""
    allowed: st.SearchStrategy[AnyCase] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query or operation.path_parameters):
        return allowed
    forbidden: st.SearchStrategy[AnyCase] = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return allowed | forbidden
