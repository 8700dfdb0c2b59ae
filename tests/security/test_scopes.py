"""Which key may do what: every kind of key at every endpoint of both services, asked of a started product.

The endpoints come from the services' own route tables: one that has no row here fails the test.
"""

from collections.abc import Callable

import httpx
import pytest

import ingest_api.routes
import query_api.routes
from ledger.keys import ALL_PROJECTS, Scope
from tests.security.conftest import HOLDERS, Holder
from tests.security.endpoints import BATCHES, ENDPOINTS, paths
from tests.support.standalone_process import FIRST_PROJECT, Standalone

Rule = Callable[[Holder], int]
Endpoint = tuple[str, str]


def writes(holder: Holder) -> int:
    """The scope ingest, whose keys always belong to a project."""
    return 200 if Scope.INGEST in holder.scopes else 401


def writes_batches(holder: Holder) -> int:
    """The same, told apart from an unknown key."""
    return 200 if Scope.INGEST in holder.scopes else 403


def any_key(_: Holder) -> int:
    """Any key that is known."""
    return 200


def without_key(_: Holder) -> int:
    """Nothing is told but that there is such a path."""
    return 204


def reads(found: int) -> Rule:
    """The scope query; for a key of all projects, admin does as well."""

    def rule(holder: Holder) -> int:
        reads_all = holder.project == ALL_PROJECTS and Scope.ADMIN in holder.scopes
        return found if reads_all or Scope.QUERY in holder.scopes else 401

    return rule


def administers(mine: int, everything: int) -> Rule:
    """The scope admin: of the own project, or of all."""

    def rule(holder: Holder) -> int:
        if Scope.ADMIN not in holder.scopes:
            return 403
        return everything if holder.project == ALL_PROJECTS else mine

    return rule


RULES: dict[str, Rule] = {"check-cache": any_key, **dict.fromkeys(BATCHES, writes_batches)}


def _writing(name: str) -> dict[Endpoint, Rule]:
    return {("POST", path): RULES.get(name, writes) for path in paths(name)}


OPENPIPE = ("report", "report-anthropic", "check-cache")
INGEST: dict[Endpoint, Rule] = {
    **{endpoint: rule for name in ENDPOINTS for endpoint, rule in _writing(name).items()},
    **{("HEAD", path): without_key for name in OPENPIPE for path in paths(name)},
}
QUERY: dict[Endpoint, Rule] = {
    ("GET", "/api/v1/requests"): reads(200),
    ("GET", "/api/v1/requests/{record_id}"): reads(404),
    ("GET", "/api/v1/requests/export"): reads(200),
    ("GET", "/api/v1/requests/tail"): reads(200),
    ("GET", "/api/v1/requests/stats"): reads(200),
    ("GET", "/api/v1/requests/histogram"): reads(200),
    ("GET", "/api/v1/requests/facets"): reads(200),
    ("GET", "/api/v1/models/unpriced"): reads(200),
    ("GET", "/api/v1/media/{sha256}"): reads(404),
    ("GET", "/api/v1/status"): any_key,
    ("GET", "/api/v1/admin/dead-letters"): administers(mine=200, everything=200),
    ("GET", "/api/v1/admin/dead-letters/counts"): administers(mine=200, everything=200),
    ("GET", "/api/v1/admin/dead-letters/{position}"): administers(mine=404, everything=404),
    ("POST", "/api/v1/admin/dead-letters/replay"): administers(mine=200, everything=200),
    ("POST", "/api/v1/admin/delete"): administers(mine=200, everything=200),
    ("GET", "/api/v1/admin/deletions"): administers(mine=200, everything=200),
    ("GET", "/api/v1/admin/deletions/{deletion}"): administers(mine=404, everything=404),
    ("GET", "/api/v1/admin/doctor"): administers(mine=403, everything=200),
    ("GET", "/api/v1/admin/retention"): administers(mine=200, everything=200),
    ("PUT", "/api/v1/admin/retention"): administers(mine=200, everything=200),
}
QUERY_STRINGS = {"/api/v1/status": "?position=1-0-0", "/api/v1/requests/tail": "?seconds=0"}
IN_PATHS = {"{record_id}": "nothing", "{sha256}": "0" * 64, "{position}": "1-0-999999999", "{deletion}": "nothing"}
ADMIN_BODIES: dict[Endpoint, dict[str, object]] = {  # nothing is changed by them
    ("POST", "/api/v1/admin/dead-letters/replay"): {"dry_run": True},
    ("POST", "/api/v1/admin/delete"): {"user_id": "nobody", "project": FIRST_PROJECT, "dry_run": True},
    ("PUT", "/api/v1/admin/retention"): {"days": 1, "dry_run": True},
}
UNKNOWN = {
    "no key": "",
    "a word": "nobody",
    "a well-formed one": "llmledger_live_0123abcd_4n2lT7vJ0mQe0b8nWcQmYw1q9Zb8J5uK3cXhT6rFQ9A_b5a5d1c2",
}


def test_every_endpoint_of_both_services_has_a_row() -> None:
    assert set(INGEST) == set(ingest_api.routes.ROUTES)
    assert set(QUERY) == set(query_api.routes.ROUTES)


@pytest.fixture(scope="module")
def entry_id(attacked: Standalone, keys_by_scope: dict[str, str]) -> str:
    """A record of the first project."""
    return attacked.access(keys_by_scope["ingest"]).report({"reqPayload": {"model": "m"}})


def ask(url: str, endpoint: Endpoint, key: str, entry_id: str) -> httpx.Response:
    """The answer to a request that is right but for its key, which is in every family's header."""
    method, path = endpoint
    headers = {"authorization": f"Bearer {key}".strip(), "x-api-key": key, "x-pezzo-api-key": key}
    name = next((name for name in ENDPOINTS if path in paths(name)), None)
    body = ENDPOINTS[name](entry_id) if name else ADMIN_BODIES.get(endpoint)
    address = path + QUERY_STRINGS.get(path, "")
    for parameter, value in IN_PATHS.items():
        address = address.replace(parameter, value)
    return httpx.request(
        method,
        url + address,
        headers=headers | {"x-pezzo-project-id": FIRST_PROJECT},
        json=body if method in {"POST", "PUT"} else None,
        timeout=30,
        verify=False,
    )


@pytest.mark.parametrize("holder", sorted(HOLDERS))
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(
    holder: str, attacked: Standalone, keys_by_scope: dict[str, str], entry_id: str
) -> None:
    for endpoint, rule in (INGEST | QUERY).items():
        answer = ask(attacked.url, endpoint, keys_by_scope[holder], entry_id)
        assert answer.status_code == rule(HOLDERS[holder]), f"{endpoint}: {answer.text}"


@pytest.mark.parametrize("sort", sorted(UNKNOWN))
def test_without_a_known_key_nothing_can_be_done(sort: str, attacked: Standalone, entry_id: str) -> None:
    for endpoint, rule in (INGEST | QUERY).items():
        answer = ask(attacked.url, endpoint, UNKNOWN[sort], entry_id)
        assert answer.status_code == (204 if rule is without_key else 401), f"{endpoint}: {answer.text}"


def test_a_key_of_one_project_is_not_taken_for_another(
    attacked: Standalone, keys_by_scope: dict[str, str], entry_id: str
) -> None:
    other = attacked.access(keys_by_scope["query of another"], "other")
    assert other.get(f"/api/v1/requests/{entry_id}").status_code == 404
    refused = attacked.access(keys_by_scope["ingest"], "other").post("/reporting/v2/request", {})
    assert refused.status_code == 401


@pytest.mark.parametrize("path", sorted(path for method, path in QUERY if method == "GET" and "/admin/" in path))
def test_an_admin_of_one_project_sees_nothing_of_another(
    path: str, attacked: Standalone, keys_by_scope: dict[str, str]
) -> None:
    for parameter, value in IN_PATHS.items():
        path = path.replace(parameter, value)
    answer = attacked.access(keys_by_scope["admin"]).get(path, project="other")
    assert answer.status_code in {403, 404}, answer.text


@pytest.mark.parametrize("endpoint", sorted(ADMIN_BODIES), ids=" ".join)
def test_an_admin_of_one_project_does_nothing_to_another(
    endpoint: Endpoint, attacked: Standalone, keys_by_scope: dict[str, str]
) -> None:
    method, path = endpoint
    headers = {"authorization": f"Bearer {keys_by_scope['admin']}"}
    body = ADMIN_BODIES[endpoint] | {"project": "other"}
    answer = httpx.request(method, attacked.url + path, headers=headers, json=body, timeout=30, verify=False)
    assert answer.status_code == 403, answer.text
