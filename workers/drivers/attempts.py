"""Which records are tried together, when a worker before this one died while it tried some of them.

A record that kills the process is never rejected by any code of ours: its worker is started again, reads it again and
dies again. So what is tried first after a start or a new assignment is marked on the bus before it is tried. A mark
that is still there at the next start was left by a crash. After several of them the marked range is tried in groups,
and the group that kills again one record at a time; the record that keeps killing alone is set aside.

Most crashes are nobody's fault in here (a node that goes away, memory that others took), and the first chunk after a
start is slow to write. So a death counts in full only while the records themselves are being read: once they are, the
mark is lessened; when the work waits for something outside it is taken back (`watching`), and also when a worker ends
in good order. Once a first chunk is through, nothing is marked: it costs nothing. No more than one chunk is tried under
a mark (`Vitals.on_trial`): the next one would be read while the mark of this one is lessened or taken back.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ledger.bus import Delivery


class Level(StrEnum):
    """How many are tried at once."""

    TOGETHER = "together"  # the chunk as it came
    GROUP = "group"
    ALONE = "alone"


READING, WRITING = 4, 1
"""What a death counts: in full while the records are read (decoded, normalised), little while they are written."""

ENOUGH: Mapping[Level, int] = {Level.TOGETHER: 2 * READING, Level.GROUP: READING, Level.ALONE: 2 * READING}
"""So much is counted at a level before the next one. Alone it takes two deaths at least: one may have been somebody
else's kill."""

GROUP_RECORDS = 64
"""A chunk of some thousands is through in as many steps as a group has records, not in thousands."""

MARKED_RECORDS = 5000
"""At most so many are tried together under a mark: a worker that is behind has several times as many at hand."""


def attempts_at(rows: int) -> "Attempts":
    """Those of a worker whose chunks have at most so many rows."""
    return Attempts(marked_records=min(MARKED_RECORDS, rows))


@dataclass(frozen=True, slots=True)
class Mark:
    """What is being tried, beginning at the committed offset."""

    counted: int
    until: int  # the offset after the last one that is under suspicion
    level: Level = Level.TOGETHER

    def text(self) -> str:
        """What is kept on the bus, beside the offset."""
        return f"{self.level} counted={self.counted} until={self.until}"

    @property
    def is_used_up(self) -> bool:
        """Whether it has died often enough at this level."""
        return self.counted >= ENOUGH[self.level]

    def tried(self) -> "Mark":
        """The mark of one more try."""
        return Mark(self.counted + READING, self.until, self.level)

    def lessened(self) -> "Mark":
        """The same try, once its records are read."""
        return Mark(self.counted - READING + WRITING, self.until, self.level)


_TEXT = re.compile(r"(together|group|alone) counted=(\d{1,9}) until=(\d{1,18})")


def mark_from(text: str | None) -> Mark | None:
    """The mark that a text stands for. Anything else is no mark."""
    match = _TEXT.fullmatch(text or "")
    return Mark(int(match[2]), int(match[3]), Level(match[1])) if match else None


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

    def left(self, resume_at: Mapping[int, int]) -> Sequence[Delivery]:
        """What is still to be tried: of a step under a mark perhaps only the beginning was stored."""
        if not self.before:
            return self.rest
        places = [(delivery, resume_at.get(delivery.read_at.partition, 0)) for delivery in self.deliveries]
        return [*(delivery for delivery, place in places if delivery.read_at.offset >= place), *self.rest]


@dataclass(slots=True)
class Attempts:
    """What is known of each partition, from its assignment on."""

    group_records: int = GROUP_RECORDS
    marked_records: int = MARKED_RECORDS
    _places: dict[int, Place] = field(default_factory=dict)  # of partitions whose first chunk is not through
    _sound: set[int] = field(default_factory=set)
    _in_force: dict[int, Place] = field(default_factory=dict)  # what stood there before our mark
    _written: dict[int, Place] = field(default_factory=dict)  # our marks

    def forget(self) -> None:
        """At a new assignment: others may have written marks since."""
        self._places.clear()
        self._sound.clear()
        self._in_force.clear()
        self._written.clear()

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
        step = self._marked(deliveries[: self.marked_records])
        return replace(step, rest=[*step.rest, *deliveries[self.marked_records :]])

    def _marked(self, deliveries: Sequence[Delivery]) -> Step:
        together = [delivery for delivery in deliveries if not self._is_suspect(delivery)]
        suspects = [delivery for delivery in deliveries if self._is_suspect(delivery)]
        held_back = {delivery.read_at.partition for delivery in suspects}
        first = [delivery for delivery in together if delivery.read_at.partition not in held_back]
        if first:
            rest = [delivery for delivery in deliveries if delivery.read_at.partition in held_back]
            return Step(first, rest, self._marks_of(first))
        return self._suspected(suspects, deliveries)

    def begun(self, step: Step) -> None:
        """The step's marks are written."""
        for partition in step.before:
            self._in_force.setdefault(partition, self._places[partition])
        self._written.update(step.before)

    def done(self, step: Step, resume_at: Mapping[int, int]) -> None:
        """What came of the step is committed."""
        for partition, offset in resume_at.items():
            self._in_force.pop(partition, None)
            self._written.pop(partition, None)
            self._places.pop(partition, None)
            if partition in step.after:
                self._places[partition] = Place(offset, step.after[partition])
            else:
                self._sound.add(partition)

    def take_back(self) -> Mapping[int, Place]:
        """What has to be written so that the marks in force do not count; they are forgotten."""
        previous = dict(self._in_force)
        self._in_force.clear()
        self._written.clear()
        return previous

    def lessened(self) -> Mapping[int, Place]:
        """What has to be written once the records that are being tried have been read."""
        return {at: Place(place.offset, place.mark.lessened()) for at, place in self._written.items() if place.mark}

    def _is_suspect(self, delivery: Delivery) -> bool:
        place = self._places.get(delivery.read_at.partition)
        mark = place.mark if place else None
        if mark is None or delivery.read_at.offset >= mark.until:
            return False
        return mark.level is not Level.TOGETHER or mark.is_used_up

    def _marks_of(self, deliveries: Sequence[Delivery]) -> dict[int, Place]:
        ends = {at.partition: at.offset + 1 for at in (delivery.read_at for delivery in deliveries)}
        marks = {}
        for partition, end in ends.items():
            if partition in self._places:
                place = self._places[partition]
                seen = place.mark if place.mark and place.mark.level is Level.TOGETHER else Mark(0, 0)
                marks[partition] = Place(place.offset, Mark(seen.counted, max(seen.until, end)).tried())
        return marks

    def _suspected(self, suspects: Sequence[Delivery], deliveries: Sequence[Delivery]) -> Step:
        """A group of one partition's suspects, or one of them."""
        partition = suspects[0].read_at.partition
        mine = [delivery for delivery in suspects if delivery.read_at.partition == partition]
        place = self._places[partition]
        mark = self._closer(place, mine)
        tried = mine[: self.group_records if mark.level is Level.GROUP else 1]
        rest = [other for other in deliveries if other not in tried]
        passed = tried[-1].read_at.offset + 1 >= mark.until
        after = {} if passed else {partition: Mark(0, mark.until, mark.level)}
        if mark.level is Level.ALONE and mark.is_used_up:
            return Step(tried, rest, {}, after, kills=True)
        return Step(tried, rest, {partition: Place(place.offset, mark.tried())}, after)

    def _closer(self, place: Place, mine: Sequence[Delivery]) -> Mark:
        """The mark, or when it has died often enough at its level, that of the next one. Alone is the last."""
        mark = place.mark
        assert mark is not None
        if mark.level is Level.ALONE or not mark.is_used_up:
            return mark
        group_ends = mine[: self.group_records][-1].read_at.offset + 1  # by records: offsets may have gaps
        if mark.level is Level.TOGETHER and mark.until > group_ends:
            return Mark(0, mark.until, Level.GROUP)
        return Mark(0, min(mark.until, group_ends), Level.ALONE)
