"""One project of a started LLM Ledger as a caller sees it: over HTTP alone, with one key."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

Row = dict[str, Any]

WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_CALL: Mapping[str, Any] = {"timeout": WAIT_SECONDS, "verify": False}  # plain HTTP: loading certificates takes longest


def at_last(look: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
    """Whether it came true: asked again and again until it does, for so many seconds at most."""
    give_up_at = time.monotonic() + seconds
    while not (true := look()) and time.monotonic() < give_up_at:
        time.sleep(_LOOK_SECONDS)
    return true


@dataclass(frozen=True, slots=True)
class Access:
    """A key that may write to and read from one project."""

    url: str
    key: str
    project: str

    def get(self, path: str, **params: str | int) -> httpx.Response:
        """The answer to a GET with this key."""
        return httpx.get(f"{self.url}{path}", params=params or None, headers=self.bearer(), **_CALL)

    def report(self, body: Any, headers: Mapping[str, str] | None = None) -> str:
        """Report a call of the OpenPipe family; the id of what was accepted."""
        answer = self.post("/api/v1/report", body, headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["LLMLedger-Log-Id"]

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to a POST with this key in every family's header. Bytes go as they are, all else as JSON."""
        own = {**self.bearer(), "x-api-key": self.key, "x-pezzo-api-key": self.key, "x-pezzo-project-id": self.project}
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx.post(f"{self.url}{path}", headers=own | dict(headers or {}), **sent, **_CALL)

    def bearer(self) -> dict[str, str]:
        """The headers that carry the key."""
        return {"Authorization": f"Bearer {self.key}"}

    def requests(self) -> list[Row]:
        """What the listing shows at this moment."""
        answer = self.get("/api/v1/requests", pageSize=1000)
        assert answer.status_code == 200, answer.text
        requests: list[Row] = answer.json()["requests"]
        return requests

    def wait_for_requests(self, count: int) -> list[Row]:
        """What the listing shows, once it shows at least `count`. Fails when the time is over."""
        shown: list[Row] = []

        def enough() -> bool:
            shown[:] = self.requests()
            return len(shown) >= count

        assert at_last(enough), f"{len(shown)} of {count} requests are listed after {WAIT_SECONDS:.0f} s"
        return shown

    def wait_for_entry(self, record_id: str, until: Callable[[Row], bool] = bool) -> Row:
        """All that is stored of a call, once it is there and `until` says so. Fails when the time is over."""
        answers: list[httpx.Response] = []

        def there() -> bool:
            answers[:] = [self.get(f"/api/v1/requests/{record_id}")]
            return answers[0].status_code == 200 and until(answers[0].json())

        assert at_last(there), f"{record_id} after {WAIT_SECONDS:.0f} s: {answers[0].text[:2000]}"
        row: Row = answers[0].json()
        return row
