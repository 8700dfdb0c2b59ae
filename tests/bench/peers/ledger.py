"""LLM Ledger as its user starts it: the standalone product, with the key that its first start prints."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.bench.peers.asking import Question, ask
from tests.bench.peers.calls import LlmCall
from tests.bench.peers.system import PAGE_ROWS, Page, Server, System
from tests.support.standalone_process import start_standalone

NAME = "LLM Ledger"

_LINE = b'{"kind":"openpipe.report","body":%s}\n'


def system() -> System:
    """The checked-out product."""
    return System(NAME, version("llmledger"), _running)


@dataclass(frozen=True, slots=True)
class _Ledger:
    url: str
    pid: int
    key: str

    @property
    def pages(self) -> Sequence[Page]:
        own, documented = f"?view=full&limit={PAGE_ROWS}", f"?pageSize={PAGE_ROWS}"
        return (
            Page("own form, previews", self._list(own), b'"completion_preview":"The quick', (b'"total_tokens":780',)),
            Page("documented form, whole texts and total", self._list(documented), b'"request_body":{', ()),
        )

    def export(self, calls: Sequence[LlmCall]) -> Question:
        if len(calls) == 1:
            return Question("POST", "/api/v1/report", self._headers("application/json"), calls[0].report)
        lines = b"".join(_LINE % call.report for call in calls)
        return Question("POST", "/api/v1/reports", self._headers("application/x-ndjson"), lines)

    def count(self) -> int:
        """Ask for a page without rows: it has the total."""
        return int(json.loads(ask(self.url, self._list("?pageSize=0")))["totalCount"])

    def _list(self, query: str) -> Question:
        return Question("GET", f"/api/v1/requests{query}", self._headers("application/json"))

    def _headers(self, content_type: str) -> tuple[tuple[str, str], ...]:
        return (("Authorization", f"Bearer {self.key}"), ("Content-Type", content_type))


@contextmanager
def _running(folder: Path) -> Iterator[Server]:
    product = start_standalone(folder)
    try:
        access = product.access()
        yield _Ledger(access.url, product.child.process.pid, access.key)
    except BaseException:
        product.kill()  # what went wrong is to be told, not that it ended badly then
        raise
    product.stop()
