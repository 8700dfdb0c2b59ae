"""How a run is judged: the result and the figures beside it."""

from dataclasses import dataclass, field
from enum import StrEnum


class Result(StrEnum):
    """What a run showed."""

    PASS = "PASS"
    MISMATCH = "MISMATCH"
    CHECK_ERROR = "CHECK_ERROR"  # it could not be read, or there was nothing to judge


@dataclass(slots=True)
class Counts:
    """Figures of one run or of several."""

    attempts: int = 0
    acknowledged: int = 0  # attempts
    rejected: int = 0
    unknown: int = 0
    visible: int = 0  # rows
    dead_letters: int = 0
    unknown_visible: int = 0  # rows of reports that were never acknowledged
    deleted: int = 0  # reports whose deletion was acknowledged
    retries: int = 0  # attempts beyond the first of a report or update

    def add(self, other: "Counts") -> None:
        """Add the figures of another run."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Verdict:
    """The result, and for a MISMATCH every violation, each beginning with its invariant."""

    result: Result
    mismatches: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
