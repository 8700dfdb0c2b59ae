"""One HTTP connection of one sender: posts a prepared request and says what is known of it afterwards."""

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

from tests.faults.bodies import Prepared
from tests.faults.sent import Outcome, Sent


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
        try:
            self._connection.request("POST", prepared.path, prepared.body, self._headers | keyed)
            response = self._connection.getresponse()
            return _answer(response, response.read())
        except (OSError, HTTPException):
            self._connection.close()  # the next request opens a new one
            return Answer(Outcome.UNKNOWN)

    def send(self, number: int, prepared: Prepared, idempotency_key: str | None) -> Sent:
        """Post it; the line of the ledger that tells of it."""
        at = time.time()
        answer = self.post(prepared, idempotency_key)
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
