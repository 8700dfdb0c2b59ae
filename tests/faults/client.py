"""One HTTP connection of one sender: posts a prepared request and says what is known of it afterwards."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from tests.faults.bodies import BATCH_PATH, Prepared, item
from tests.faults.sent import Outcome, Sent

Keyed = tuple[Prepared, str | None]
"""A request and its idempotency key."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Nothing: an UNKNOWN outcome without a status."""

    outcome: Outcome
    status: int | None = None
    record_id: str | None = None
    position: str | None = None


class Client:
    """Keeps one connection open, and opens another one after any failure. `timeout`: seconds without a byte."""

    def __init__(self, url: str, project: str, key: str, timeout: float = 10.0) -> None:
        self.project = project
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout)
        self._headers = {
            "authorization": f"Bearer {key}",
            "x-api-key": key,
            "x-pezzo-api-key": key,
            "x-pezzo-project-id": project,
            "content-type": "application/json",
        }

    def post(self, prepared: Prepared, idempotency_key: str | None) -> Answer:
        """The answer. Never raises for what the product or the network does."""
        keyed = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answered = self._answered(prepared.path, prepared.body, keyed)
        return _answer(*answered) if answered else Answer(Outcome.UNKNOWN)

    def post_together(self, batch: Sequence[Keyed]) -> list[Answer]:
        """The answers to these, sent as one batch. Never raises for what the product or the network does."""
        answered = self._answered(BATCH_PATH, b"\n".join(item(*one) for one in batch), {})
        return _answers(*answered, len(batch)) if answered else [Answer(Outcome.UNKNOWN)] * len(batch)

    def send(self, number: int, prepared: Prepared, idempotency_key: str | None) -> Sent:
        """Post it; the line of the ledger that tells of it."""
        at = time.time()
        return self._sent(number, (prepared, idempotency_key), at, self.post(prepared, idempotency_key))

    def send_together(self, numbers: Sequence[int], batch: Sequence[Keyed]) -> list[Sent]:
        """Post them as one batch; the lines of the ledger that tell of them."""
        at = time.time()
        answers = self.post_together(batch)
        return [
            self._sent(number, one, at, answer) for number, one, answer in zip(numbers, batch, answers, strict=True)
        ]

    def _answered(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[HTTPResponse, bytes] | None:
        try:
            self._connection.request("POST", path, body, self._headers | headers)
            response = self._connection.getresponse()
            return response, response.read()
        except (OSError, HTTPException):
            self._connection.close()  # the next request opens a new one
            return None

    def _sent(self, number: int, keyed: Keyed, at: float, answer: Answer) -> Sent:
        prepared, idempotency_key = keyed
        return Sent(
            number=number,
            api=prepared.api,
            project=self.project,
            tag=prepared.tag,
            idempotency_key=idempotency_key,
            record_id=prepared.record_id or answer.record_id,
            position=answer.position,
            body_sha=prepared.body_sha,
            expects=prepared.expects,
            at=at,
            outcome=answer.outcome,
            status=answer.status,
            until=time.time(),
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _answer(response: HTTPResponse, body: bytes) -> Answer:
    if 400 <= response.status < 500:
        return Answer(Outcome.REJECT, response.status)
    if not 200 <= response.status < 300:
        return Answer(Outcome.UNKNOWN, response.status)
    said = json.loads(body)
    record_id = response.headers["LLMLedger-Log-Id"] or said.get("reportId") or said.get("id")
    return Answer(Outcome.ACK, response.status, record_id, response.headers["LLMLedger-Position"])


def _answers(response: HTTPResponse, body: bytes, count: int) -> list[Answer]:
    """Of each item its own; where there are none, of all of them what the status says."""
    results = json.loads(body).get("results") if response.headers.get_content_type() == "application/json" else None
    if results is None:
        outcome = Outcome.REJECT if 400 <= response.status < 500 else Outcome.UNKNOWN
        return [Answer(outcome, response.status)] * count
    assert [result["index"] for result in results] == list(range(count)), body
    return [_item_answer(result, response.status) for result in results]


def _item_answer(result: dict[str, Any], status: int) -> Answer:
    if error := result.get("error"):
        return Answer(Outcome.UNKNOWN if error["retry"] else Outcome.REJECT, status)
    return Answer(Outcome.ACK, status, result["id"], result["position"])
