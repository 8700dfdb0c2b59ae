"""Named places at which a test can end, fail or delay the process: the crash windows of the promises.

Nothing happens at any of them unless `LLMLEDGER_FAILPOINTS` names it, as in `B3:kill@2,A1:sleep=0.5`: an action at the
k-th time that the place is passed, or every time. Actions: `kill` (as `kill -9` would), `raise`, `sleep=SECONDS`.
`B0:kill~TEXT` acts only where the bytes at hand contain TEXT. Never set it in production.
"""

import os
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.errors import Misconfigured

VARIABLE = "LLMLEDGER_FAILPOINTS"

WINDOWS: Mapping[str, str] = {
    "A0": "ingest: the body is read",
    "A1": "ingest: before the record is handed to the bus",
    "A1.claim": "ingest: a large body is kept in the blob store, its record is not on the bus",
    "A2": "ingest: handed to the bus, not acknowledged",
    "A3": "ingest: acknowledged, before the response",
    "B0": "worker: a record was read",
    "B1": "worker: before the first write of a batch",
    "B2.deletions": "worker: deletions noted",
    "B2.keys": "worker: key entries written",
    "B2.patches": "worker: patches written",
    "B2.blobs": "worker: blobs written",
    "B2.bodies": "worker: bodies written, rows not yet",
    "B3": "worker: everything written, before the commit",
    "B4": "worker: committed",
    "B5": "worker: dead letters written, before the commit",
    "B6": "worker: partitions are being taken away",
    "B7": "worker: stopping, before the last batch is stored",
    "C1": "standalone: the log's transaction is open",
    "C2": "standalone: the log's transaction is committed, before the response",
    "C3": "standalone: a batch was read from the log",
    "C4": "standalone: the batch is written, before the cursor moves",
    "C5": "standalone: the cursor has moved",
    "C6": "standalone: the log was pruned, before the transaction's end",
}
"""Every failpoint there is."""


class FailpointRaised(Exception):
    """The error that a failpoint raises: one that nothing in the product expects."""


@dataclass(slots=True)
class _Armed:
    action: str
    seconds: float
    at: int | None  # the time it acts; None: each time
    needle: bytes | None
    passed: int = field(default=0)

    def act(self, name: str, subject: bytes) -> None:
        if self.needle is not None and self.needle not in subject:
            return
        self.passed += 1
        if self.at is not None and self.passed != self.at:
            return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "raise":
            raise FailpointRaised(name)
        else:
            time.sleep(self.seconds)


_armed: dict[str, _Armed] = {}

_SPEC = re.compile(r"([A-Z]\d[.a-z]*):(kill|raise|sleep=(\d+(?:\.\d+)?))(?:@(\d+))?(?:~(.+))?")


def arm(text: str) -> None:
    """Switch on what the text names, and nothing else. Raises `Misconfigured`. For the start of a process."""
    found = dict(map(_parsed, filter(None, text.split(","))))
    _armed.clear()
    _armed.update(found)


def failpoint(name: str, subject: bytes = b"") -> None:
    """Does nothing, unless this place was armed."""
    if _armed and name in _armed:
        _armed[name].act(name, subject)


def _parsed(spec: str) -> tuple[str, _Armed]:
    match = _SPEC.fullmatch(spec.strip())
    if match is None or match[1] not in WINDOWS:
        known = ", ".join(WINDOWS)
        raise Misconfigured(f"{VARIABLE}: {spec!r} is no failpoint; they read NAME:kill@K, of {known}.")
    action, seconds, at, needle = match[2], match[3], match[4], match[5]
    armed = _Armed(
        action.partition("=")[0],
        float(seconds) if seconds else 0.0,
        int(at) if at else None,
        needle.encode() if needle else None,
    )
    return match[1], armed
