"""`llmledger doctor`: looks at every part the product needs and says what to do where something is wrong.

A check is a function that returns findings and raises nothing that its part can cause: a part that is away is a finding
too. Looking changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, but somebody should look
    PROBLEM = "problem"  # something that was promised does not hold, or will not for long


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was seen, and what to do about it (empty when nothing is)."""

    part: str
    level: Level
    seen: str
    do: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Finding":
        """A finding that another process has made."""
        return cls(value["part"], Level(value["level"]), value["seen"], value["do"])


def ok(part: str, seen: str) -> Finding:
    """Nothing is wrong here."""
    return Finding(part, Level.OK, seen)


def warning(part: str, seen: str, do: str) -> Finding:
    """Worth a look."""
    return Finding(part, Level.WARNING, seen, do)


def problem(part: str, seen: str, do: str) -> Finding:
    """Has to be mended."""
    return Finding(part, Level.PROBLEM, seen, do)


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as they travel over HTTP and come out with `--json`."""
    return [asdict(finding) for finding in findings]
