"""Where keys must never be seen: the log at its most talkative, the bus, the store, the dead letters, any answer."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.security.endpoints import ENDPOINTS, paths
from tests.support.access import at_last
from tests.support.standalone_process import FIRST_PROJECT, Standalone

MADE_UP = "llmledger_live_0123abcd_Zx9Wq8Vr7Ut6Ts5Sr4Rq3Qp2Po1On0Nm9Ml8Lk7Kj6J_00000000"
FAMILIES = ("authorization", "x-api-key", "x-pezzo-api-key")
ODD_HEADERS = ("cookie", "referer", "user-agent", "x-forwarded-for", "proxy-authorization", "x-key")
READING = ("/api/v1/requests", "/api/v1/requests/nothing", "/api/v1/media/nothing", "/api/v1/admin/doctor", "/schema/x")
CONTENT = {"report": {"reqPayload": {"model": "m"}}, "logs/insert": {"model": "m"}}


def secret_of(key: str) -> bytes:
    """What nobody may see of a key: all but its name."""
    return key.split("_", 3)[3].encode()


@pytest.fixture(scope="module")
def answers(attacked: Standalone, keys_by_scope: dict[str, str]) -> list[httpx.Response]:
    """Traffic of every kind with keys where they belong and where they do not; all that was answered."""
    told: list[httpx.Response] = []
    with httpx.Client(base_url=attacked.url, verify=False, timeout=30) as client:
        for key in (*keys_by_scope.values(), MADE_UP):
            for method, path in requests():
                for headers in headers_with(key):
                    told.append(client.request(method, path, headers=headers, json=CONTENT.get(path.lstrip("/"), {})))
                told.append(client.request(method, path, params={"key": key, "x-api-key": key, "filter": key}, json={}))
            told.append(client.get(f"/api/v1/{key}"))
            told.append(client.request("DELETE", f"/logs/{key}", headers={"authorization": key}))
    conflict(attacked, keys_by_scope["ingest, query"])
    return told


def requests() -> Iterator[tuple[str, str]]:
    for name in ENDPOINTS:
        yield "POST", paths(name)[-1]
    for path in READING:
        yield "GET", path


def headers_with(key: str) -> Iterator[dict[str, str]]:
    project = {"x-pezzo-project-id": FIRST_PROJECT}
    yield {name: f"Bearer {key}" for name in FAMILIES} | project
    yield {"authorization": f"Basic {key}", "x-api-key": key[:-1]} | project
    yield {"x-pezzo-project-id": key, "x-pezzo-api-key": key}
    yield dict.fromkeys(ODD_HEADERS, key) | {"content-encoding": key}
    yield {"if-none-match": key, "accept": key, "content-type": key, "authorization": f"{key} {key} {key}"}


def conflict(attacked: Standalone, key: str) -> None:
    """Two bodies under one Idempotency-Key: the second one becomes a dead letter."""
    access = attacked.access(key)
    for model in ("a", "b"):
        access.report({"reqPayload": {"model": model}}, {"Idempotency-Key": "the same for both"})
    last = access.post("/report", {"reqPayload": {"model": "c"}}).headers["LLMLedger-Position"]
    status = f"/api/v1/status?position={last}&wait=30"
    assert at_last(lambda: access.get(status).json()["status"] == "visible")


def test_no_answer_repeats_a_key(answers: list[httpx.Response], keys_by_scope: dict[str, str]) -> None:
    for answer in answers:
        said = answer.content + repr(answer.headers.raw).encode()
        for key in (*keys_by_scope.values(), MADE_UP):
            assert secret_of(key) not in said, (answer.request.method, answer.request.url, answer.text)


def test_the_log_never_says_a_key(
    answers: list[httpx.Response], attacked: Standalone, keys_by_scope: dict[str, str]
) -> None:
    log = attacked.child.log.read_bytes()
    assert len(answers) > 100
    assert log, "at the level debug something is said"
    for key in (*keys_by_scope.values(), MADE_UP):
        assert secret_of(key) not in log


def test_nothing_in_the_data_folder_holds_a_key(
    answers: list[httpx.Response], attacked: Standalone, keys_by_scope: dict[str, str]
) -> None:
    files = [path for path in Path(attacked.data).rglob("*") if path.is_file()]
    assert {"keys.json", "log.sqlite"} <= {path.name for path in files}
    secrets = [secret_of(key) for key in (*keys_by_scope.values(), MADE_UP)]
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
