"""What the load generator knows of one HTTP attempt: the only truth that the oracle judges the product by.

Several attempts may share a `tag`: they are one report (or one update) that a client sent again under its
idempotency key. An attempt with another body has another tag, also when it uses a key again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

UPDATE = "update"
"""The `api` of an update."""
DELETE = "delete"
"""The `api` of a deletion; every other one makes a record."""


class Outcome(StrEnum):
    """What the client knows after an attempt."""

    ACK = "ACK"  # a 2xx
    REJECT = "REJECT"  # a 4xx: nothing was stored
    UNKNOWN = "UNKNOWN"  # a 5xx, a timeout, a lost connection: stored or not


class Dead(StrEnum):
    """`expects["dead"]`: whether an accepted report may or must end among the dead letters; without it, it must not."""

    MAY = "may"
    MUST = "must"


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt.

    `expects` of a report: `model`, `input_tokens`, `output_tokens`, `cost` (USD, decimal text; None: unpriced) and what
    else the single call must show, by the names of that answer. `expects` of an update: `fields`, the update's data.
    """

    number: int  # of the attempt, from 1, over the whole run
    api: str  # openpipe, anthropic, pezzo, log, update, delete
    project: str
    tag: str  # unique text inside of the body; the row of a report shows it as its user_id
    idempotency_key: str | None
    record_id: str | None  # as the API returned it; of an update or a deletion, the record that it is about
    position: str | None  # LLMLedger-Position of a 2xx; of a deletion by user, one per partition
    body_sha: str  # `payload_sha` of a report's payloads; of an update, of its whole body and nothing
    expects: Mapping[str, Any]
    at: float  # when it was sent, seconds since 1970
    outcome: Outcome
    status: int | None = None
    until: float = field(default=0.0)  # when its outcome was known

    @property
    def makes_a_record(self) -> bool:
        """Whether it is a report, not an update or a deletion of one."""
        return self.api not in (UPDATE, DELETE)


def payload_sha(request: str | None, response: str | None) -> str:
    """SHA-256, in hex, of a report's two payloads as they stand in its body: what must be shown unchanged."""
    return sha256(f"{request or ''}\n{response or ''}".encode()).hexdigest()
