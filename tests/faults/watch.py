"""Looks at the product while it is hurt: a call that went back, or that is listed twice at once, is a violation."""

import itertools
import threading
from collections import Counter

import httpx

from tests.faults.load import Load
from tests.faults.scenario import PROJECTS, Target

_PAUSE_SECONDS = 0.1
_PAGE = "100"


class Watch:
    """Polls from `start` until `stop`. What cannot be read at a moment is no violation: the product is being hurt."""

    def __init__(self, target: Target, load: Load) -> None:
        self._target = target
        self._load = load
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._highest: dict[str, int] = {}
        self._error: BaseException | None = None
        self.violations: list[str] = []
        self.looks = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Raises what broke the watch itself."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self._target.url, verify=False, timeout=10.0) as client:
                for turn in itertools.count():
                    if self._stopping.wait(_PAUSE_SECONDS):
                        return
                    self._look(client, turn)
        except BaseException as error:  # noqa: BLE001  raised again by `stop`
            self._error = error

    def _look(self, client: httpx.Client, turn: int) -> None:
        try:
            if turn % 10 == 0:
                self._look_at_list(client, PROJECTS[turn // 10 % len(PROJECTS)])
            elif updated := self._load.updated():
                self._look_at_one(client, *updated[turn % len(updated)])
        except (httpx.TransportError, httpx.DecodingError):
            return  # it is away; the load waits for it too

    def _look_at_list(self, client: httpx.Client, project: str) -> None:
        answer = client.get("/api/v1/requests", params={"pageSize": _PAGE}, headers=self._bearer(project))
        if answer.status_code != 200:
            return
        self.looks += 1
        rows = answer.json()["requests"]
        for name in ("id", "user_id"):
            twice = [value for value, count in Counter(row[name] for row in rows).items() if count > 1]
            self.violations += [f"I3 once: {value} was listed twice on one page of {project}" for value in twice]

    def _look_at_one(self, client: httpx.Client, project: str, record_id: str) -> None:
        answer = client.get(f"/api/v1/requests/{record_id}", headers=self._bearer(project))
        if answer.status_code != 200:
            if answer.status_code == 404 and record_id in self._highest:
                self.violations.append(f"I4 order: {record_id} was shown and is gone")
            return
        self.looks += 1
        number = int(answer.json()["metadata"]["n"])
        before = self._highest.get(record_id, 0)
        if number < before:
            self.violations.append(f"I4 order: {record_id} went back from update {before} to {number}")
        self._highest[record_id] = max(number, before)

    def _bearer(self, project: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._target.key(project)}"}
