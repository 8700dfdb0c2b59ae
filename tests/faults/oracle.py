"""Judges what the public API shows by what the load generator knows. It knows nothing of how the product works.

I1 loss, I2 phantom, I3 once, I4 order, I5 content, I6 conservation, I7 isolation, I8 liveness (all of it within the
patience), I9 deletion (what was deleted is shown nowhere). What cannot be read, and a load of which nothing was
acknowledged, is a CHECK_ERROR and never a PASS.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.faults.reading import ApiReader, Reader, Reading, Unreadable
from tests.faults.rows import faults_of_lists, faults_of_row, faults_of_singles
from tests.faults.scenario import Target
from tests.faults.sent import Outcome, Sent
from tests.faults.told import Event, Told, choices, told_by
from tests.faults.verdict import Counts, Result, Verdict

__all__ = ["Counts", "Result", "Verdict", "judge", "violations"]

SAMPLE = 30
"""So many single calls of each project are read, and as many of deleted records; the other project's key gets none."""

_MOST_TOLD = 200
_LOOK_SECONDS = 0.3
_LAST = 12


def judge(
    sent: Sequence[Sent],
    source: Target | Reader,
    *,
    patience: float = 60.0,
    observed: Sequence[str] = (),
) -> Verdict:
    """The verdict on a history, once the product shows all of it or the patience (seconds) is over.

    `observed`: violations that were seen while the load ran.
    """
    reader = source if isinstance(source, Reader) else ApiReader(source)
    told, give_up_at = told_by(sent), time.monotonic() + patience
    if not any(one.outcome is Outcome.ACK for one in sent):
        return Verdict(Result.CHECK_ERROR, ["nothing was acknowledged: there is nothing to judge"], _counts(told, None))
    ids = _sample(told)
    _await_last(told, reader, give_up_at)
    while True:
        verdict = _look(told, reader, ids)
        if verdict.result is Result.PASS or time.monotonic() > give_up_at:
            break
        time.sleep(_LOOK_SECONDS)
    if observed:
        verdict.mismatches += observed
        verdict.result = Result.CHECK_ERROR if verdict.result is Result.CHECK_ERROR else Result.MISMATCH
    return verdict


def _await_last(told: Told, reader: Reader, give_up_at: float) -> None:
    """Return once the last accepted reports are shown: reading everything before that is in vain."""
    certain = [event for event in told.reports.values() if _must_be_shown(told, event)]
    last = sorted(certain, key=lambda event: max(one.number for one in event.attempts))[-_LAST:]
    for event in last:
        for id_ in event.record_ids:
            while time.monotonic() < give_up_at and not _shows(reader, event.first.project, id_):
                time.sleep(_LOOK_SECONDS)


def _must_be_shown(told: Told, event: Event) -> bool:
    return event.is_acknowledged and not event.may_be_dead and not told.may_be_gone(event)


def _shows(reader: Reader, project: str, id_: str) -> bool:
    try:
        return reader.shows(project, id_)
    except Unreadable:
        return False  # whether this lasts is seen by reading everything


def _look(told: Told, reader: Reader, ids: Mapping[str, Sequence[str]]) -> Verdict:
    """The verdict at this moment."""
    try:
        reading = reader.read(ids)
        if reading.dead is None and any(event.must_be_dead for event in told.all_events):
            raise Unreadable("The product does not tell of dead letters, and there must be some.")
        found = violations(told, reading)
    except (Unreadable, KeyError, TypeError, ValueError) as error:
        return Verdict(Result.CHECK_ERROR, [f"unreadable: {type(error).__name__}: {error}"], _counts(told, None))
    return Verdict(Result.MISMATCH if found else Result.PASS, found[:_MOST_TOLD], _counts(told, reading))


def violations(told: Told, reading: Reading) -> list[str]:
    """Everything that is wrong with this reading; empty when nothing is."""
    checks: tuple[Callable[[Told, Reading], Iterator[str]], ...] = (
        _loss,
        _phantoms,
        _lists,
        _contents,
        _dead_letters,
        _conservation,
        _isolation,
        _deletions,
    )
    found = [] if reading.stable else ["I8 liveness: the counts still change"]
    return found + [what for check in checks for what in check(told, reading)]


def _loss(told: Told, reading: Reading) -> Iterator[str]:
    shown, dead = _shown(reading), _dead(reading)
    for tag, event in told.reports.items():
        if not event.is_acknowledged:
            continue
        buried = dead.intersection(event.positions)
        if tag not in shown and not buried and not told.may_be_gone(event):
            yield f"I1 loss: {tag} was acknowledged at {event.positions} and is nowhere"
        if buried and not event.may_be_dead:
            yield f"I1 loss: {tag} was dead-lettered at {sorted(buried)}, but nothing is wrong with it"
    for changes in (*told.updates.values(), *told.deletions.values()):
        for one in changes:
            if dead.intersection(one.positions) and not one.may_be_dead:
                what = f"{one.first.tag} of {one.first.record_id}"
                yield f"I1 loss: {what} was dead-lettered, but nothing is wrong with it"
    for event in told.all_events:
        first = event.first
        if any(one.outcome is Outcome.REJECT for one in event.attempts) and not first.expects.get("reject"):
            yield f"I1 loss: {first.tag} was refused with {event.attempts[-1].status}, but nothing is wrong with it"


def _phantoms(told: Told, reading: Reading) -> Iterator[str]:
    for project, of_project in reading.projects.items():
        for row in of_project.cursor:
            event = told.reports.get(row["user_id"] or "")
            if event is None or not event.may_exist:
                yield f"I2 phantom: {row['id']} of {project} with {row['user_id']!r} was never accepted"
            elif event.must_be_dead:
                yield f"I2 phantom: {row['user_id']} is shown as {row['id']}, but must be a dead letter"


def _lists(told: Told, reading: Reading) -> Iterator[str]:
    for project, of_project in reading.projects.items():
        yield from faults_of_lists(project, of_project)
        yield from faults_of_singles(project, of_project)


def _contents(told: Told, reading: Reading) -> Iterator[str]:
    dead = _dead(reading)
    for of_project in reading.projects.values():
        listed = {row["id"]: row for row in of_project.pages}
        for row in of_project.cursor:
            event = told.reports.get(row["user_id"] or "")
            if event is not None and row["id"] in listed:
                updates = told.updates.get(row["id"], ())
                yield from faults_of_row(event, choices(updates, dead), row, listed[row["id"]])


def _dead_letters(told: Told, reading: Reading) -> Iterator[str]:
    places = Counter(str(letter["position"]) for letter in reading.dead or ())
    yield from (f"I3 once: the dead letter {place} is listed {n} times" for place, n in places.items() if n > 1)
    if reading.dead is None:
        return
    yield from (f"I1 loss: dead letter {one['position']} gives no reason" for one in reading.dead if not one["reason"])
    accepted = {position for event in told.all_events for position in event.positions}
    strange = [place for place in places if place not in accepted]
    unknown = sum(one.outcome is Outcome.UNKNOWN for one in told.attempts)
    if len(strange) > unknown:
        yield f"I2 phantom: {len(strange)} dead letters, as {strange[:3]}, are of nothing that was sent"
    for event in told.all_events:
        if event.is_acknowledged and event.must_be_dead and not places.keys() & set(event.positions):
            yield f"I1 loss: {event.first.tag} must be a dead letter and is none"


def _conservation(told: Told, reading: Reading) -> Iterator[str]:
    """What was accepted is either a row or a dead letter: not both, not neither."""
    shown, dead = _shown(reading), _dead(reading)
    for tag, event in told.reports.items():
        buried = event.positions and dead.issuperset(event.positions)
        if tag in shown and buried and not event.was_unknown:
            yield f"I6 conservation: {tag} is a row and a dead letter"
    certain = {tag for tag, event in told.reports.items() if event.is_acknowledged}
    gone = {tag for tag in certain if told.may_be_gone(told.reports[tag])}
    shown |= gone
    ends = sum(tag in shown or bool(dead.intersection(told.reports[tag].positions)) for tag in certain)
    if ends != len(certain):
        yield f"I6 conservation: {len(certain)} reports were accepted, {ends} are visible, dead-lettered or deleted"


def _isolation(told: Told, reading: Reading) -> Iterator[str]:
    for project, of_project in reading.projects.items():
        for row in of_project.cursor:
            event = told.reports.get(row["user_id"] or "")
            if row["project"] != project or (event is not None and event.first.project != project):
                yield f"I7 isolation: {row['id']} ({row['user_id']!r}, {row['project']}) is shown to {project}"
        for id_, status in of_project.foreign.items():
            if status != 404:
                yield f"I7 isolation: {id_} of another project answers {status} to {project}"


def _deletions(told: Told, reading: Reading) -> Iterator[str]:
    shown = _shown(reading)
    singles = {id_ for one in reading.projects.values() for id_, row in one.singles.items() if row is not None}
    for tag, event in told.reports.items():
        if not told.must_be_gone(event):
            continue
        if tag in shown or singles & event.record_ids:
            yield f"I9 deletion: {tag} was deleted and is still shown as {sorted(event.record_ids)}"


def _shown(reading: Reading) -> set[str]:
    return {row["user_id"] for one in reading.projects.values() for row in one.cursor}


def _dead(reading: Reading) -> set[str]:
    return {letter["position"] for letter in reading.dead or ()}


def _sample(told: Told) -> Mapping[str, list[str]]:
    """Ids to be asked for one by one: the same ones at every look."""
    known: dict[tuple[str, bool], list[str]] = {}
    for event in told.reports.values():
        if event.is_acknowledged and not event.may_be_dead:
            known.setdefault((event.first.project, told.may_be_gone(event)), []).extend(sorted(event.record_ids))
    chosen = random.Random(len(told.attempts))
    sample: dict[str, list[str]] = {}
    for (project, _), ids in known.items():
        sample.setdefault(project, []).extend(chosen.sample(ids, min(SAMPLE, len(ids))))
    return sample


def _counts(told: Told, reading: Reading | None) -> Counts:
    outcomes = Counter(one.outcome for one in told.attempts)
    counts = Counts(
        attempts=len(told.attempts),
        acknowledged=outcomes[Outcome.ACK],
        rejected=outcomes[Outcome.REJECT],
        unknown=outcomes[Outcome.UNKNOWN],
        deleted=sum(told.must_be_gone(event) for event in told.reports.values()),
        retries=sum(len(event.attempts) - 1 for event in told.all_events),
    )
    if reading is not None:
        counts.visible = sum(len(one.cursor) for one in reading.projects.values())
        counts.dead_letters = len(reading.dead or ())
        never = {tag for tag, event in told.reports.items() if not event.is_acknowledged}
        counts.unknown_visible = len(_shown(reading) & never)
    return counts
