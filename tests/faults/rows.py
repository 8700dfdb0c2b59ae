"""What is wrong with rows: with one by what was sent for it, and with the lists beside each other."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.faults.bodies import cost_of
from tests.faults.reading import ProjectReading, Row
from tests.faults.sent import payload_sha
from tests.faults.told import Choice, Event

_NAMES = {"model": "model_requested"}
"""Where the API's name of a field is another one than that of `expects`."""

_KNOWN_FIELDS = frozenset({"metadata", "description", "cost", "response_data", "duration"})
_AS_SENT: Mapping[str, Any] = {"description": "as sent", "metadata": {"n": "0"}}
_ROUNDING = 1e-9


def faults_of_lists(project: str, reading: ProjectReading) -> Iterator[str]:
    """I3: both lists and the count agree, and nothing is there twice. I5: so do their sums."""
    pages, cursor = Counter(row["id"] for row in reading.pages), Counter(row["id"] for row in reading.cursor)
    for name, ids in (("list", pages), ("list by cursor", cursor)):
        yield from (f"I3 once: {id_} is {n} times in the {name} of {project}" for id_, n in ids.items() if n > 1)
    tags = Counter(row["user_id"] for row in reading.cursor)
    yield from (f"I3 once: {tag!r} has {n} rows in {project}" for tag, n in tags.items() if n > 1)
    if pages.keys() != cursor.keys():
        only = sorted(pages.keys() ^ cursor.keys())
        yield f"I3 once: {len(only)} ids, as {only[:3]}, are in one list of {project} alone"
    if not reading.total == len(reading.pages) == len(reading.cursor):
        yield (
            f"I3 once: {project} has totalCount {reading.total}, {len(reading.pages)} rows by pages,"
            f" {len(reading.cursor)} by cursor"
        )
    yield from _sums(project, reading)


def faults_of_singles(project: str, reading: ProjectReading) -> Iterator[str]:
    """I3: a single call says what the list says."""
    listed = {row["id"]: row for row in reading.cursor}
    for id_, single in reading.singles.items():
        row = listed.get(id_)
        if (single is None) is not (row is None):
            yield f"I3 once: {id_} of {project} is {'' if row else 'not '}listed, but asked for alone it is otherwise"
        if single is None or row is None:
            continue
        differing = [name for name in row.keys() & single.keys() if row[name] != single[name]]
        if differing:
            yield f"I3 once: {id_} of {project} differs between list and single call in {sorted(differing)}"


def faults_of_row(event: Event, chosen: Mapping[str, Choice], row: Row, listed: Row) -> Iterator[str]:
    """I4 and I5: the row is the fold of what was sent for it. `chosen`: what its updates make right."""
    tag, sent = event.first.tag, event.first
    if event.record_ids and row["id"] not in event.record_ids:
        yield f"I5 content: {tag} was called {sorted(event.record_ids)} and is {row['id']}"
    unknown = chosen.keys() - _KNOWN_FIELDS
    if unknown:
        raise ValueError(f"the oracle cannot fold updates of {sorted(unknown)}")
    yield from _folded_fields(tag, chosen, row)
    expects, response = dict(sent.expects), listed["response_body"]
    replaced = _replaced(chosen.get("response_data"), response)
    if replaced is not None:
        expects |= _figures(replaced)
    elif payload_sha(listed["request_body"], response) != sent.body_sha:
        yield f"{_invariant(chosen, 'response_data')}: the payloads of {tag} are not those that were sent"
    elif "response_data" in chosen and not chosen["response_data"].base:
        yield f"I4 order: {tag} shows its first reply, but an update of it was acknowledged"
    yield from _expected(tag, expects, chosen.get("cost"), row)


def _sums(project: str, reading: ProjectReading) -> Iterator[str]:
    pairs = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("cost", "cost"))
    for in_pages, in_cursor in pairs:
        one = sum(float(row[in_pages] or 0) for row in reading.pages)
        other = float(sum(Decimal(str(row[in_cursor] or 0)) for row in reading.cursor))
        if abs(one - other) > _ROUNDING * max(1.0, abs(other)):
            yield f"I5 content: the {in_cursor} of {project} is {one} by pages and {other} by cursor"


def _folded_fields(tag: str, chosen: Mapping[str, Choice], row: Row) -> Iterator[str]:
    for name, choice in chosen.items():
        if name in ("cost", "response_data"):
            continue
        column, values = (name, list(choice.values))
        if name == "duration":
            column, values = "duration_ms", [value * 1000 for value in values]
        if choice.base and name in _AS_SENT:
            values.append(_AS_SENT[name])
        if row[column] not in values and not (choice.base and name not in _AS_SENT):
            yield f"I4 order: {name} of {tag} ({row['id']}) is {row[column]!r}, right is {values[:4]}"


def _replaced(choice: Choice | None, response: str | None) -> Mapping[str, Any] | None:
    """The reply that an update put in the place of the first, where the row shows a right one."""
    if choice is None or response is None:
        return None
    shown = json.loads(response)
    return next((value for value in choice.values if value == shown), None)


def _figures(reply: Mapping[str, Any]) -> dict[str, Any]:
    usage = reply["usage"]
    tokens = usage["prompt_tokens"], usage["completion_tokens"]
    return {"input_tokens": tokens[0], "output_tokens": tokens[1], "cost": cost_of(reply["model"], *tokens)}


def _expected(tag: str, expects: Mapping[str, Any], told_cost: Choice | None, row: Row) -> Iterator[str]:
    for name, value in expects.items():
        if name in ("dead", "reject", "cost"):
            continue
        shown = row[_NAMES.get(name, name)]
        if shown != value:
            yield f"I5 content: {name} of {tag} is {shown!r}, right is {value!r}"
    if "cost" not in expects:
        return
    right = [_money(value) for value in told_cost.values] if told_cost else []
    if told_cost is None or told_cost.base:
        right.append(_money(expects["cost"]))
    if _money(row["cost"]) not in right:
        yield f"{'I4 order' if told_cost else 'I5 content'}: the cost of {tag} is {row['cost']}, right is {right[:4]}"


def _money(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _invariant(chosen: Mapping[str, Choice], name: str) -> str:
    return "I4 order" if name in chosen else "I5 content"
