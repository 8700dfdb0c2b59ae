"""The history of a load as the events that it is about: which reports and updates there are, and what is known of each.

An update whose outcome was UNKNOWN for a while has no exact place among the others, so for each field of a record there
may be several values that are right. Everything known narrows them down; nothing is assumed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

from tests.faults.sent import DELETE, UPDATE, Dead, Outcome, Sent

Place = tuple[int, int]
"""Generation and offset of a position: the events of one record share a partition."""

_FIRST: Place = (-1, -1)
_LAST: Place = (1 << 62, 1 << 62)


def place_of(position: str) -> Place:
    """The place that an `LLMLedger-Position` names."""
    generation, _, offset = map(int, position.split("-"))
    return generation, offset


@dataclass(frozen=True)
class Event:
    """All attempts of one report or one update."""

    attempts: Sequence[Sent]

    @property
    def first(self) -> Sent:
        """The first attempt; all of them say the same."""
        return self.attempts[0]

    @cached_property
    def positions(self) -> list[str]:
        """Where it was accepted, as far as that was answered."""
        answered = [one.position for one in self.attempts if one.outcome is Outcome.ACK and one.position]
        return [place for text in answered for place in text.split(", ")]

    @property
    def is_acknowledged(self) -> bool:
        """Whether an attempt was answered with a 2xx."""
        return any(one.outcome is Outcome.ACK for one in self.attempts)

    @property
    def known_at(self) -> float:
        """When it was first acknowledged, seconds since 1970; never: infinite."""
        return min((one.until for one in self.attempts if one.outcome is Outcome.ACK and one.until), default=inf)

    @property
    def may_exist(self) -> bool:
        """Whether it can have been accepted: a refused one cannot."""
        return any(one.outcome is not Outcome.REJECT for one in self.attempts)

    @property
    def was_unknown(self) -> bool:
        """Whether an attempt may have been accepted without an answer."""
        return any(one.outcome is Outcome.UNKNOWN for one in self.attempts)

    @property
    def record_ids(self) -> set[str]:
        """What the API called it."""
        return {one.record_id for one in self.attempts if one.record_id}

    @property
    def may_be_dead(self) -> bool:
        """Whether a dead letter is a right end for it."""
        return self.first.expects.get("dead") in (Dead.MAY, Dead.MUST)

    @property
    def must_be_dead(self) -> bool:
        """Whether nothing but a dead letter is."""
        return self.first.expects.get("dead") == Dead.MUST


@dataclass(frozen=True, slots=True)
class Told:
    """The whole history."""

    reports: Mapping[str, Event]  # by tag
    updates: Mapping[str, Sequence[Event]]  # by id of their record
    attempts: Sequence[Sent] = field(default=())
    deletions: Mapping[str, Sequence[Event]] = field(default_factory=dict)  # by id of their record

    @property
    def all_events(self) -> Iterable[Event]:
        """Reports, then updates, then deletions."""
        yield from self.reports.values()
        for of_record in (*self.updates.values(), *self.deletions.values()):
            yield from of_record

    def may_be_gone(self, report: Event) -> bool:
        """Whether it was deleted, or may have been. Every deletion is sent after its report was acknowledged."""
        return any(deletion.may_exist for deletion in self._deletions_of(report))

    def must_be_gone(self, report: Event) -> bool:
        """Whether its deletion was acknowledged."""
        return any(deletion.is_acknowledged for deletion in self._deletions_of(report))

    def _deletions_of(self, report: Event) -> Iterable[Event]:
        return (deletion for id_ in report.record_ids for deletion in self.deletions.get(id_, ()))


def told_by(history: Sequence[Sent]) -> Told:
    """The events of a history."""
    by_tag: dict[str, list[Sent]] = defaultdict(list)
    for one in sorted(history, key=lambda one: one.number):
        by_tag[one.tag].append(one)
    events = {tag: Event(attempts) for tag, attempts in by_tag.items()}
    reports = {tag: event for tag, event in events.items() if event.first.makes_a_record}
    return Told(reports, _by_record(events.values(), UPDATE), history, _by_record(events.values(), DELETE))


def _by_record(events: Iterable[Event], api: str) -> Mapping[str, Sequence[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.first.api == api:
            found[event.first.record_id or ""].append(event)
    return dict(found)


@dataclass(frozen=True, slots=True)
class Choice:
    """The values of a field that are right; `base`: also the value that the report itself gave."""

    values: tuple[Any, ...]
    base: bool


def choices(updates: Sequence[Event], dead: Iterable[str]) -> Mapping[str, Choice]:
    """For each field that the updates of one record give: which values it may show. A dead letter is not in force."""
    lost = set(dead)
    spans = [_span(update, updates) for update in updates if update.may_exist]
    kept = [(span, _is_certain(span.event, lost)) for span in spans if not _is_dead(span.event, lost)]
    names = {name for span, _ in kept for name in span.fields}
    return {name: _choice([one for one in kept if name in one[0].fields], name) for name in names}


@dataclass(frozen=True, slots=True)
class _Span:
    """An update and the places between which its first acceptance lies."""

    event: Event
    low: Place
    high: Place

    @property
    def fields(self) -> Mapping[str, Any]:
        given: Mapping[str, Any] = self.event.first.expects["fields"]
        return {name: value for name, value in given.items() if value is not None}


def _span(update: Event, all_of_record: Sequence[Event]) -> _Span:
    answered = [place_of(position) for position in update.positions]
    high = min(answered, default=_LAST)
    if not update.was_unknown and answered:
        return _Span(update, high, high)
    began = update.first.at
    before = [
        place_of(one.position)
        for other in all_of_record
        for one in other.attempts
        if one.position and one.until and one.until < began
    ]
    return _Span(update, max(before, default=_FIRST), high)


def _is_certain(event: Event, dead: set[str]) -> bool:
    return event.is_acknowledged and not dead.intersection(event.positions)


def _is_dead(event: Event, dead: set[str]) -> bool:
    """Whether every acceptance that there can be of it is a dead letter."""
    return bool(event.positions) and not event.was_unknown and dead.issuperset(event.positions)


def _choice(spans: Sequence[tuple[_Span, bool]], name: str) -> Choice:
    certain = [span for span, is_certain in spans if is_certain]
    right = [span for span, _ in spans if not any(_surely_before(span, other) for other in certain)]
    return Choice(tuple(span.fields[name] for span in right), base=not certain)


def _surely_before(one: _Span, other: _Span) -> bool:
    """An update that floats lies after its `low`, an exact one at it: no two updates share a place.

    Whatever the places say, one that was acknowledged before the other was first sent came before it.
    """
    if one is other or other.event.known_at < one.event.first.at:
        return False
    return one.high <= other.low or one.event.known_at < other.event.first.at
