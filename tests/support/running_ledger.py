"""What an end-to-end test needs to know of a started LLM Ledger, however it was started.

Whoever provides the `ledger` fixture chooses the mode (one process, a cluster); the tests speak to this role alone.
"""

from typing import Any, Protocol


class RunningLedger(Protocol):
    """A started LLM Ledger and a key that may both write to and read from one project."""

    @property
    def url(self) -> str:
        """Where it answers: scheme, host and port, with no path and no slash at the end."""

    @property
    def key(self) -> str:
        """An API key of `project` with the scopes `ingest` and `query`."""

    @property
    def project(self) -> str:
        """The id of the project that `key` belongs to."""

    def wait_for_requests(self, count: int) -> list[dict[str, Any]]:
        """The project's stored requests as its listing shows them, once there are at least `count`.

        The items are those of `GET /api/v1/requests?pageSize=1000`. The wait is bounded: when it is over and there
        are fewer, the test fails.
        """
