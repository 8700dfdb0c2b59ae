"""The statements on dead letters. Of several deaths of one record that after the most replays is the dead letter."""

from ledger.bus import Position
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from query_api.admin.dead_letters.choosing import Choice, Place, State

_PLACE = "generation, partition, offset"
_DEAD_AT = "toUnixTimestamp64Milli(dead_at)"

LIGHT = (
    f"{_PLACE}, replays, project, record_id, event_id, kind, topic, reason, detail, error_class, code_version,"
    f" toUnixTimestamp64Milli(first_dead_at) AS first_dead_ms, {_DEAD_AT} AS dead_ms, size,"
    " envelope IS NULL AS lacks_envelope"
)
"""The columns of a summary, but for whether it was replayed."""

LIGHT_NAMES = (
    *("generation", "partition", "offset", "replays", "project", "record_id", "event_id", "kind", "topic", "reason"),
    *("detail", "error_class", "code_version", "first_dead_ms", "dead_ms", "size", "lacks_envelope"),
)


def page(choice: Choice, reach: Reach, after: Place | None, limit: int) -> Statement:
    """The latest deaths first."""
    bound = Bound()
    sql = _latest(choice, reach, bound)
    if after:
        at = after.position
        values = ((after.dead_at, "Int64"), (at.generation, "UInt8"), (at.partition, "UInt16"), (at.offset, "UInt64"))
        sql += f" AND (dead_ms, {_PLACE}) < ({', '.join(bound.value(*pair) for pair in values)})"
    return bound.statement(f"{sql} ORDER BY dead_ms DESC, {_descending()} LIMIT {bound.value(limit, 'UInt32')}")


def replayable(choice: Choice, reach: Reach, max_replays: int, limit: int) -> Statement:
    """Summaries in the order of acceptance; those that cannot be replayed, or were too often, come last."""
    bound = Bound()
    stuck = f"lacks_envelope OR replays >= {bound.value(max_replays, 'UInt32')}"
    return bound.statement(
        f"{_latest(choice, reach, bound)} ORDER BY {stuck}, {_PLACE} LIMIT {bound.value(limit, 'UInt32')}"
    )


def total(choice: Choice, reach: Reach) -> Statement:
    """How many there are."""
    bound = Bound()
    return bound.statement(f"SELECT count() FROM ({_latest(choice, reach, bound)})")


def counts(choice: Choice, reach: Reach) -> Statement:
    """By project and reason: how many wait, how many were replayed, the first and the latest death."""
    bound = Bound()
    return bound.statement(
        "SELECT project, reason, countIf(NOT replayed), countIf(replayed), min(first_dead_ms), max(dead_ms)"
        f" FROM ({_latest(choice, reach, bound)}) GROUP BY project, reason ORDER BY project, reason"
    )


def whole(position: Position, reach: Reach) -> Statement:
    """Key, envelope, body and headers of the dead letter at this position; bytes in base64."""
    bound = Bound()
    return bound.statement(
        "SELECT base64Encode(key), base64Encode(envelope), base64Encode(body), headers FROM dead_letters"
        f" WHERE {reach.owned(bound)} AND {_at(position, bound)} ORDER BY replays DESC, dead_at DESC LIMIT 1"
    )


def replays(position: Position) -> Statement:
    """When and where to the record at this position was replayed."""
    bound = Bound()
    return bound.statement(
        "SELECT replays + 1, toUnixTimestamp64Milli(replayed_at), to_generation, to_partition, to_offset"
        f" FROM dead_letter_replays FINAL WHERE {_at(position, bound)} ORDER BY replays"
    )


def _latest(choice: Choice, reach: Reach, bound: Bound) -> str:
    """A SELECT that further conditions, an order and a limit can be written behind."""
    never_change = [reach.owned(bound)]
    never_change += [
        f"{name} = {bound.value(value, 'String')}"
        for name, value in (("project", choice.project), ("kind", choice.kind), ("record_id", choice.record_id))
        if value is not None
    ]
    if choice.position:
        never_change.append(_at(choice.position, bound))
    return (
        f"SELECT *, ({_PLACE}, replays) IN (SELECT {_PLACE}, replays FROM dead_letter_replays) AS replayed"
        f" FROM (SELECT {LIGHT} FROM dead_letters WHERE {' AND '.join(never_change)}"
        f" ORDER BY {_PLACE}, replays DESC, dead_at DESC LIMIT 1 BY {_PLACE}) WHERE {_of_the_death(choice, bound)}"
    )


def _of_the_death(choice: Choice, bound: Bound) -> str:
    conditions = ["1"]
    if choice.reason is not None:
        conditions.append(f"reason = {bound.value(choice.reason, 'String')}")
    if choice.since is not None:
        conditions.append(f"dead_ms >= {bound.value(choice.since, 'Int64')}")
    if choice.before is not None:
        conditions.append(f"dead_ms < {bound.value(choice.before, 'Int64')}")
    if choice.state is not None:
        conditions.append("replayed" if choice.state is State.REPLAYED else "NOT replayed")
    return " AND ".join(conditions)


def _at(position: Position, bound: Bound) -> str:
    return (
        f"generation = {bound.value(position.generation, 'UInt8')}"
        f" AND partition = {bound.value(position.partition, 'UInt16')}"
        f" AND offset = {bound.value(position.offset, 'UInt64')}"
    )


def _descending() -> str:
    return ", ".join(f"{name} DESC" for name in ("generation", "partition", "offset"))
