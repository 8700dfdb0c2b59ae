"""Requests that real clients have sent, as recorded, and what they must lead to. One file each; see `Recorded`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.support.access import Access

FOLDER = Path(__file__).parents[1] / "golden" / "real_clients"

_MASKED_KEY = re.compile(r"<[A-Z_]+_API_KEY>")


@dataclass(frozen=True)
class Recorded:
    """One request as it was sent, except that keys are masked, and what is expected of it.

    `expected` holds the status and the answer. For a report it also holds `listed`, the row in the documented list, and
    `stored`, all that is stored: what is not named there is unknown or empty. For a listing it holds the number of all
    rows that match and the names of those that are shown.
    """

    name: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str
    expected: Mapping[str, Any]

    @cached_property
    def makes_a_row(self) -> bool:
        """Whether it is a report."""
        return "stored" in self.expected

    def sent_to(self, access: Access, *, body: str | None = None) -> httpx.Response:
        """Send it verbatim, with this key for the masked one; the answer. Another body gets its own length."""
        headers = [(name, _MASKED_KEY.sub(access.key, value)) for name, value in self.headers]
        if body is not None:
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        content = (self.body if body is None else body).encode()
        request = httpx.Request(self.method, access.url + self.path, headers=headers, content=content or None)
        assert request.url.raw_path == self.path.encode()
        with httpx.Client(timeout=30.0, verify=False) as client:
            return client.send(request)


def recorded_requests() -> list[Recorded]:
    """All of them, in the order in which each client sent its own."""
    return [_read(path) for path in sorted(FOLDER.glob("*.json"))]


def _read(path: Path) -> Recorded:
    content = json.loads(path.read_text())
    headers = tuple((name, value) for name, value in content["headers"])
    return Recorded(path.stem, content["method"], content["path"], headers, content["body"], content["expected"])
