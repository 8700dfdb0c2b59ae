"""Do the log, the group's places and the store fit together? Pure; asked before reading begins.

A topic that was made anew, a backup that was put back, or a retention that overtook the group leave places that the log
does not have. Going on would skip accepted reports, or give new ones the positions of old ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError, Misconfigured


@dataclass(frozen=True, slots=True)
class Span:
    """What a partition's log holds: offsets from `start` up to, and without, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A partition whose group would go on at a place that the log does not have."""

    partition: int
    committed: int
    span: Span

    def __str__(self) -> str:
        if self.committed < self.span.start:
            return f"partition {self.partition}: {self.committed} to {self.span.start - 1} are gone"
        return f"partition {self.partition}: the log ends at {self.span.end}, the group is at {self.committed}"


class RecordsLost(LedgerError):
    """Kafka no longer has records that were not read yet."""


def gaps(spans: Mapping[int, Span], committed: Mapping[int, int]) -> list[Gap]:
    """The partitions of which the group's place is outside of the log."""
    places = ((partition, committed[partition]) for partition in sorted(spans) if partition in committed)
    return [
        Gap(partition, place, spans[partition])
        for partition, place in places
        if not spans[partition].start <= place <= spans[partition].end
    ]


def text_of(topic: str, found: Sequence[Gap]) -> str:
    """What is lost, and what an operator can do about it."""
    return (
        f"Topic {topic} no longer has what this group would read next ({'; '.join(map(str, found))}). Its retention has"
        " passed the workers, or it was made anew. Bring the records back if there is a copy. If they are lost for"
        " good, stop all workers and start one with `llmledger workers --resume-after-loss`: it says what is lost and"
        " goes on at the start of the log."
    )


def require_known_end(topic: str, generation: int, spans: Mapping[int, Span], stored: Mapping[int, int]) -> None:
    """Raise `Misconfigured` when the store has seen offsets of this generation that the log has not reached yet."""
    ends = {partition: spans[partition].end if partition in spans else 0 for partition in stored}
    early = [
        f"partition {partition} ends at {ends[partition]}, the store has seen {highest}"
        for partition, highest in sorted(stored.items())
        if highest >= ends[partition]
    ]
    if early:
        raise Misconfigured(
            f"Topic {topic} ends before what was already stored of generation {generation} ({'; '.join(early)}): it was"
            " made anew, or it or the store was put back from a copy. Put the one that fits back; or, to go on with"
            " this topic as a new one, set LLMLEDGER_KAFKA__GENERATION to a number never used before, for ingest-api"
            " and workers alike, and restart them."
        )
