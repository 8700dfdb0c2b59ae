"""Rejected deliveries → dead letters, under a ceiling: a bad deploy must not move the whole stream there.

One project that sends rubbish is dead-lettered and stops nobody. When the share is high and it comes from several
projects, the fault is ours: the worker stops and the backlog is kept.
"""

from base64 import b64encode
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import msgspec

from ledger.errors import LedgerError
from workers.decoding import Rejected


@runtime_checkable
class Quarantine(Protocol):
    """Keeps what could not become a row."""

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Durable on return. The same delivery may be put again after a crash."""


class TooManyDeadLetters(LedgerError):
    """So many records would be dead-lettered, from several projects, that the fault must be in this program."""


@dataclass(slots=True)
class Ceiling:
    """Looks at the last `window` records: at most `max_share` of them may be rejected, once there are `min_sample`."""

    window: int = 1000
    min_sample: int = 200
    max_share: float = 0.05
    _seen: deque[str | None] = field(default_factory=deque)

    def check(self, good: int, rejected: Sequence[Rejected]) -> None:
        """Count this chunk. Raises `TooManyDeadLetters`, before anything of it is put away."""
        self._seen.extend([None] * good)
        self._seen.extend(_project_of(item) for item in rejected)
        while len(self._seen) > self.window:
            self._seen.popleft()
        bad = [project for project in self._seen if project is not None]
        if len(self._seen) >= self.min_sample and len(bad) > self.max_share * len(self._seen) and len(set(bad)) > 1:
            raise TooManyDeadLetters(f"{len(bad)} of the last {len(self._seen)} records would be dead-lettered.")


def _project_of(rejected: Rejected) -> str:
    key = rejected.delivery.key or b""
    return key.partition(b"/")[0].decode(errors="replace")


def dead_letter_header(rejected: Rejected, code_version: str) -> bytes:
    """Why the record is dead, for the header that travels beside its original bytes (JSON)."""
    position = rejected.delivery.position
    return msgspec.json.encode(
        {
            "reason": rejected.code,
            "detail": rejected.detail,
            "generation": position.generation,
            "partition": position.partition,
            "offset": position.offset,
            "code_version": code_version,
        }
    )


def headers_text(rejected: Rejected) -> str:
    """The delivery's further headers, as JSON with base64 values: names and bytes may be anything."""
    pairs = [[name, b64encode(value).decode()] for name, value in rejected.delivery.headers]
    return msgspec.json.encode(pairs).decode()
