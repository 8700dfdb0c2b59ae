"""Which records are tried together, when a worker before this one died while it tried some of them.

A record that kills the process is never rejected by any code of ours: its worker is started again, reads it again and
dies again. So what is tried first after a start or a new assignment is marked on the bus before it is tried. A mark
that is still there at the next start was left by a crash. Then the marked range is tried one record at a time, each
under a mark of its own, and the one that kills again is set aside. A worker that fails in an orderly way takes its
marks back, so that an outage of the store condemns nobody. Once a first chunk is through, nothing is marked: it costs
nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.bus import Delivery

TOGETHER = 1
"""So many times a range is tried as a chunk and dies, beside the crash before it that found it unmarked."""

ALONE = 2
"""So many times a record is tried alone and dies: once may have been somebody else's kill."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is being tried, beginning at the committed offset."""

    attempt: int
    until: int  # the offset after the last one that is under suspicion
    alone: bool = False

    def text(self) -> str:
        """What is kept on the bus, beside the offset."""
        return f"{'alone' if self.alone else 'together'} attempt={self.attempt} until={self.until}"


_TEXT = re.compile(r"(alone|together) attempt=(\d{1,9}) until=(\d{1,18})")


def mark_from(text: str | None) -> Mark | None:
    """The mark that a text stands for. Anything else is no mark."""
    match = _TEXT.fullmatch(text or "")
    return Mark(int(match[2]), int(match[3]), match[1] == "alone") if match else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition's reader stands: the next offset, and the mark beside it."""

    offset: int
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Step:
    """Deliveries that are tried together, and what has to be written before and after."""

    deliveries: Sequence[Delivery]
    rest: Sequence[Delivery]
    before: Mapping[int, Place] = field(default_factory=dict)
    after: Mapping[int, Mark] = field(default_factory=dict)  # beside the offset that is committed then
    kills: bool = False  # not to be tried again

    def places(self, resume_at: Mapping[int, int]) -> dict[int, Place]:
        """What is committed once the step is done."""
        return {partition: Place(offset, self.after.get(partition)) for partition, offset in resume_at.items()}


@dataclass(slots=True)
class Attempts:
    """What is known of each partition, from its assignment on."""

    _places: dict[int, Place] = field(default_factory=dict)  # of partitions whose first chunk is not through
    _sound: set[int] = field(default_factory=set)
    _in_force: dict[int, Place] = field(default_factory=dict)  # what stood there before our mark

    def forget(self) -> None:
        """At a new assignment: others may have written marks since."""
        self._places.clear()
        self._sound.clear()
        self._in_force.clear()

    def unknown(self, deliveries: Iterable[Delivery]) -> set[int]:
        """The partitions among these whose places have to be read first."""
        return {delivery.read_at.partition for delivery in deliveries} - self._sound - self._places.keys()

    def learn(self, places: Mapping[int, Place | None]) -> None:
        """Where these partitions stood when they were read; None for one that has no place."""
        for partition, place in places.items():
            if place is None:
                self._sound.add(partition)
            else:
                self._places[partition] = place

    def next(self, deliveries: Sequence[Delivery]) -> Step:
        """What of these is tried next. All of their partitions are known."""
        if not self._places:
            return Step(deliveries, ())
        together = [delivery for delivery in deliveries if not self._is_suspect(delivery)]
        suspects = [delivery for delivery in deliveries if self._is_suspect(delivery)]
        held_back = {delivery.read_at.partition for delivery in suspects}
        first = [delivery for delivery in together if delivery.read_at.partition not in held_back]
        if first:
            rest = [delivery for delivery in deliveries if delivery.read_at.partition in held_back]
            return Step(first, rest, self._marks_of(first))
        return self._alone(suspects[0], deliveries)

    def begun(self, step: Step) -> None:
        """The step's marks are written."""
        for partition in step.before:
            self._in_force.setdefault(partition, self._places[partition])

    def done(self, step: Step, resume_at: Mapping[int, int]) -> None:
        """What came of the step is committed."""
        for partition, offset in resume_at.items():
            self._in_force.pop(partition, None)
            self._places.pop(partition, None)
            if partition in step.after:
                self._places[partition] = Place(offset, step.after[partition])
            else:
                self._sound.add(partition)

    def take_back(self) -> Mapping[int, Place]:
        """What has to be written so that the marks in force do not count; they are forgotten."""
        previous = dict(self._in_force)
        self._in_force.clear()
        return previous

    def _is_suspect(self, delivery: Delivery) -> bool:
        place = self._places.get(delivery.read_at.partition)
        mark = place.mark if place else None
        if mark is None or delivery.read_at.offset >= mark.until:
            return False
        return mark.alone or mark.attempt >= TOGETHER

    def _marks_of(self, deliveries: Sequence[Delivery]) -> dict[int, Place]:
        ends = {at.partition: at.offset + 1 for at in (delivery.read_at for delivery in deliveries)}
        marks = {}
        for partition, end in ends.items():
            if partition in self._places:
                place = self._places[partition]
                seen = place.mark if place.mark and not place.mark.alone else Mark(0, 0)
                marks[partition] = Place(place.offset, Mark(seen.attempt + 1, max(seen.until, end)))
        return marks

    def _alone(self, delivery: Delivery, deliveries: Sequence[Delivery]) -> Step:
        at = delivery.read_at
        place = self._places[at.partition]
        assert place.mark is not None
        attempts = place.mark.attempt if place.mark.alone else 0
        rest = [other for other in deliveries if other is not delivery]
        until = place.mark.until
        after = {at.partition: Mark(0, until, alone=True)} if at.offset + 1 < until else {}
        if attempts >= ALONE:
            return Step([delivery], rest, {}, after, kills=True)
        return Step([delivery], rest, {at.partition: Place(place.offset, Mark(attempts + 1, until, alone=True))}, after)
