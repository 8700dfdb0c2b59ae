"""The model of identity, updates, deletions and order: crashes between any two writes, redelivery, zombies, retries,
dead letters.

Whatever happens, once everything was processed each record is visible once, and is the fold of its accepted events;
what was deleted is never visible again, and no record that was a deleted user's at the place of the deletion is
visible, whatever was replayed when.
"""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.bus import Delivery, Position
from ledger.deletion import Deletion, Portion, Scope
from ledger.ids import EventId, ProjectId, RecordId, keyed_id, plain_id
from ledger.report import Envelope, Kind, bus_key, encode
from ledger.request_log import Bodies, RequestLog, RowKey
from ledger.store import DataRefused, Identity
from tests.support.recording import Crash, RememberingBlobs, RememberingQuarantine, RememberingStore
from workers.decoding import RejectCode
from workers.deriving import Derived
from workers.pipeline import Deps, process
from workers.pricing import with_cost

PROJECT = ProjectId("acme")
SECRET = b"s" * 32

BODIES = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["gpt-4o", "claude-3", "unheard-of"]),
        "duration": st.sampled_from([0.5, 9.1, None]),
        "initiator": st.sampled_from(["user:1", "user:2"]),
        "description": st.sampled_from(["", "a", "b"]),
        "metadata": st.sampled_from([{"a": 1}, {"b": "x", "env": "prod"}, None]),
        "cost": st.sampled_from([0, 0.001]),
        "response_data": st.sampled_from(
            [
                {"model": "gpt-4o-2024", "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
                {"error": {"message": "no"}},
            ]
        ),
        "media": st.sampled_from(
            [{"request": [{"type": "image", "data": "AAAA"}]}, {"response": [{"type": "image", "data": "https://x/y"}]}]
        ),
    },
)
CRASHES = st.none() | st.integers(0, 9)
SCOPES: list[dict[str, object]] = [
    {"user_id": "user:1"},
    {"user_id": "user:2"},
    {"filter": {"combinator": "and", "rules": [{"field": "model", "operator": "=", "value": "claude-3"}]}},
]


def priced(derived: Derived) -> RequestLog:
    """A cost that tells which events it was computed from."""
    tokens = derived.row.input_tokens
    version = int(derived.row.price_version)
    return with_cost(
        msgspec.structs.replace(derived.row, cost_computed=None if tokens is None else tokens * 100 + version)
    )


def judged_by(scope: dict[str, object]) -> tuple[str, object]:
    """Of a deletion by scope: the field that it looks at, and the value."""
    if "user_id" in scope:
        return "initiator", scope["user_id"]
    return "model", scope["filter"]["rules"][0]["value"]  # type: ignore[index]


@dataclass
class Event:
    """An accepted event, as the oracle remembers it."""

    delivery: Delivery
    envelope: Envelope
    body: dict[str, object]
    waiting: Delivery | None = None  # in the dead letters, and not yet replayed
    was_held: bool = False

    @property
    def identity(self) -> Identity:
        """Whose record it is about."""
        return PROJECT, self.envelope.record_id

    @property
    def at(self) -> int:
        """Its place in the order of acceptance."""
        return self.delivery.position.offset


@dataclass
class Item:
    """What stands on the bus: an event, where it was accepted or where it was replayed."""

    delivery: Delivery
    event: Event
    skipped: bool = False  # it went to the dead letters when it was read first

    @property
    def place(self) -> int:
        """Where it is read."""
        return self.delivery.read_at.offset


@dataclass
class Oracle:
    """What was accepted, in the order of acceptance, and all that is on the bus."""

    events: list[Event] = field(default_factory=list)
    bus: list[Item] = field(default_factory=list)
    plain_ids: list[RecordId] = field(default_factory=list)


@dataclass(slots=True)
class Doubting(RememberingStore):
    """Takes no question by filter, or does."""

    refusing: bool = False

    async def matching(self, deletion: Deletion, portion: Portion) -> list[RowKey]:
        if self.refusing and deletion.scope is Scope.FILTER:
            raise DataRefused
        return await RememberingStore.matching(self, deletion, portion)


class FoldingMachine(RuleBasedStateMachine):
    """Accepts events, processes chunks in every unlucky way, and compares with a fold written differently."""

    @initialize(refusing=st.sampled_from([False, False, False, True]))
    def start(self, *, refusing: bool = False) -> None:
        self.oracle = Oracle()
        self.store = Doubting(refusing=refusing)
        self.refused_once = refusing
        self.quarantine = RememberingQuarantine()
        deps = Deps(store=self.store, blobs=RememberingBlobs(), quarantine=self.quarantine, price=priced)
        deps.ceiling.min_sample = 10**9
        deps.deleted_at_once = 2
        self.process = partial(process, deps)
        self.cursor = self.reached = 0
        self.versions: dict[Identity, int] = {}
        self.gone: set[Identity] = set()
        self.now = 1_700_000_000_000

    @rule(body=BODIES)
    def report(self, body: dict[str, object]) -> None:
        record_id = plain_id(self.now, SECRET)
        self.oracle.plain_ids.append(record_id)
        self._accept(Kind.LOG_INSERT, record_id, EventId(record_id), {"model": "gpt-4o", **body})

    @rule(key=st.sampled_from("ab"), body=st.sampled_from([{"model": "gpt-4o"}, {"model": "claude-3"}]))
    def report_with_key(self, key: str, body: dict[str, object]) -> None:
        record_id = keyed_id(key, SECRET)
        self._accept(Kind.LOG_INSERT, record_id, EventId(record_id), body)

    @rule(data=st.data(), body=BODIES, key=st.sampled_from([None, "k", "l"]))
    def update(self, data: st.DataObject, body: dict[str, object], key: str | None) -> None:
        record_id = data.draw(st.sampled_from(self._known_ids()))
        event_id = keyed_id(f"update:{key}", SECRET) if key else plain_id(self.now, SECRET)
        self._accept(Kind.LOG_UPDATE, record_id, EventId(event_id), body)

    @rule(data=st.data(), key=st.sampled_from([None, "k"]))
    def delete(self, data: st.DataObject, key: str | None) -> None:
        record_id = data.draw(st.sampled_from(self._known_ids()))
        event_id = keyed_id(f"delete:{key}", SECRET) if key else plain_id(self.now, SECRET)
        self._accept(Kind.RECORD_DELETE, record_id, EventId(event_id), {})

    @rule(body=st.sampled_from(SCOPES))
    def delete_by_scope(self, body: dict[str, object]) -> None:
        event_id = plain_id(self.now, SECRET)
        self._accept(Kind.SCOPE_DELETE, event_id, EventId(event_id), body)

    @precondition(lambda self: self.cursor < len(self.oracle.bus))
    @rule(size=st.integers(1, 6), crash_before=CRASHES)
    def process_a_chunk(self, size: int, crash_before: int | None) -> None:
        end = min(self.cursor + size, len(self.oracle.bus))
        if self._process(range(self.cursor, end), crash_before):
            self.cursor = end
            self.reached = max(self.reached, end)

    @precondition(lambda self: self.cursor > 0)
    @rule(data=st.data(), crash_before=CRASHES)
    def a_zombie_writes_an_old_chunk_again(self, data: st.DataObject, crash_before: int | None) -> None:
        start = data.draw(st.integers(0, self.cursor - 1))
        self._process(range(start, data.draw(st.integers(start + 1, self.cursor))), crash_before)

    @precondition(lambda self: self.cursor > 0)
    @rule(data=st.data())
    def the_bus_is_read_again_from_earlier(self, data: st.DataObject) -> None:
        self.cursor = data.draw(st.integers(0, self.cursor - 1))

    @precondition(lambda self: self.cursor == self.reached < len(self.oracle.bus))
    @rule()
    def the_next_event_goes_to_the_dead_letters(self) -> None:
        item = self.oracle.bus[self.cursor]
        item.skipped = item.event.was_held = True
        item.event.waiting = item.delivery
        self.cursor = self.reached = self.cursor + 1

    @precondition(lambda self: self.oracle.plain_ids)
    @rule(data=st.data(), scope=st.sampled_from(SCOPES), since=BODIES)
    def an_update_dies_before_the_deletion_that_would_mean_its_record(
        self, data: st.DataObject, scope: dict[str, object], since: dict[str, object]
    ) -> None:
        record_id = data.draw(st.sampled_from(self.oracle.plain_ids))
        name, wanted = judged_by(scope)
        self._process_all()
        self._accept(Kind.LOG_UPDATE, record_id, EventId(plain_id(self.now, SECRET)), {name: wanted})
        self.the_next_event_goes_to_the_dead_letters()
        self.delete_by_scope(scope)
        self._accept(Kind.LOG_UPDATE, record_id, EventId(plain_id(self.now, SECRET)), since)

    @precondition(lambda self: any(event.waiting for event in self.oracle.events))
    @rule(data=st.data())
    def a_dead_letter_is_replayed(self, data: st.DataObject) -> None:
        self._replay(data.draw(st.sampled_from([event for event in self.oracle.events if event.waiting])))

    @invariant()
    def versions_never_go_back(self) -> None:
        for identity, row in self.store.all_rows().items():
            assert row.version >= self.versions.get(identity, 0)
            self.versions[identity] = row.version

    @invariant()
    def what_was_deleted_is_never_seen_again(self) -> None:
        rows = self.store.all_rows()
        self.gone |= {identity for identity, row in rows.items() if row.is_deleted}
        for identity in self.gone:
            row = rows[identity]
            assert row.is_deleted
            assert (row.user_id, row.model_requested, row.description, row.metadata, row.cost) == (None,) * 3 + (
                (),
                None,
            )
            assert row.bodies == Bodies()

    @invariant()
    def a_deletion_that_was_read_is_in_force(self) -> None:
        visible = self.store.visible()
        for item in self.oracle.bus[: self.cursor]:
            if item.event.envelope.kind is Kind.RECORD_DELETE and not item.skipped:
                assert item.event.identity not in visible

    def teardown(self) -> None:
        if not hasattr(self, "oracle"):
            return
        self._process_all()
        self.store.refusing = False
        for _ in range(2):
            for event in self.oracle.events:
                if event.waiting:
                    self._replay(event)
            self._process_all()
        self.what_was_deleted_is_never_seen_again()
        visible = self.store.visible()
        expected = self._expected()
        for identity in list(expected):
            if self._must_be_gone(identity):
                del expected[identity]
        assert visible.keys() == expected.keys()
        for identity, fields in expected.items():
            _compare(visible[identity], fields)

    def _accept(self, kind: Kind, record_id: RecordId, event_id: EventId, body: dict[str, object]) -> None:
        self.now += 1
        envelope = Envelope(
            version=2,
            record_id=record_id,
            event_id=event_id,
            kind=kind,
            project=PROJECT,
            accepted_at=self.now,
            created_at=self.now - 1,
            price_version=str(len(self.oracle.events) // 5),
        )
        position = Position(1, 0, len(self.oracle.bus))
        raw = msgspec.json.encode({"id": record_id, "update_data": body} if kind.is_update else body)
        delivery = Delivery(position, bus_key(PROJECT, record_id), encode(envelope), raw)
        self.oracle.events.append(Event(delivery, envelope, body))
        self.oracle.bus.append(Item(delivery, self.oracle.events[-1]))

    def _known_ids(self) -> list[RecordId]:
        return [*self.oracle.plain_ids, keyed_id("a", SECRET), keyed_id("b", SECRET), plain_id(1, SECRET)]

    def _replay(self, event: Event) -> None:
        """Put behind all that is on the bus, with the place of its acceptance."""
        assert event.waiting
        place, replays = Position(1, 0, len(self.oracle.bus)), event.waiting.replays + 1
        self.oracle.bus.append(Item(replace(event.waiting, replayed_at=place, replays=replays), event))
        event.waiting = None

    def _process(self, offsets: range, crash_before: int | None) -> bool:
        """Whether the chunk was processed; a crash leaves what was written before it."""
        items = [self.oracle.bus[at] for at in offsets if not self.oracle.bus[at].skipped]
        if not self._stored([item.delivery for item in items], crash_before):
            return False
        for item in items:
            self._look_for_another_death(item)
        return True

    def _process_all(self) -> None:
        assert self._process(range(self.cursor, len(self.oracle.bus)), None)
        self.cursor = self.reached = len(self.oracle.bus)

    def _look_for_another_death(self, item: Item) -> None:
        """An update that could not be judged waits again; after a later replay it counts."""
        dead = self.quarantine.dead.get(item.delivery.position)
        if item.event.envelope.kind is Kind.SCOPE_DELETE and dead and self.store.refusing:
            assert dead.code is RejectCode.BODY_INVALID
            item.skipped, item.event.waiting = True, item.delivery
        if dead is None or dead.code is not RejectCode.CHANGED_AFTER_DELETION:
            return
        assert any("filter" in other.event.body and other.place > item.event.at for other in self.oracle.bus)
        if dead.delivery.replays < item.delivery.replays:
            del self.quarantine.dead[item.delivery.position]
        elif not any(other.event is item.event and other.place > item.place for other in self.oracle.bus):
            item.event.waiting = item.delivery

    def _stored(self, chunk: list[Delivery], crash_before: int | None) -> bool:
        self.store.crash_before = crash_before
        try:
            asyncio.run(self.process(chunk))
        except Crash:
            return False
        finally:
            self.store.crash_before = None
        return True

    def _must_be_gone(self, identity: Identity) -> bool:
        """Whether the record is deleted; checks that each scope's deletion took what it means and nothing else."""
        mine = [event for event in self.oracle.events if event.identity == identity]
        scopes = [item for item in self.oracle.bus if item.event.envelope.kind is Kind.SCOPE_DELETE]
        taken = {item.place for item in scopes if (identity, item.delivery.read_at) in self.store.patched}
        gone = bool(taken) or any(event.envelope.kind is Kind.RECORD_DELETE for event in mine)
        for item in scopes:
            verdict = self._judged(item, mine)
            assert verdict is not False or item.place not in taken, "it deleted what it does not mean"
            assert verdict is not True or gone or item.skipped, "it left what it means"
        return gone

    def _judged(self, scope: Item, mine: list[Event]) -> bool | None:
        """Whether the scope means the record of these events; None where that hangs on when they were known."""
        name, wanted = judged_by(scope.event.body)
        reports = [event for event in mine if event.envelope.kind is Kind.LOG_INSERT and self._makes_the_record(event)]
        if not reports or reports[0].at > scope.place:
            return False
        base = {"model": "gpt-4o", **reports[0].body}.get(name)
        before = [event for event in mine if event.at < scope.place and event.envelope.kind is Kind.LOG_UPDATE]
        values = [event.body[name] for event in before if event.body.get(name) is not None]
        if all(value != wanted for value in (base, *values)):
            return False
        if all(value == wanted for value in (base, *values)):
            return None if name == "model" and self.refused_once else True
        meant = self._folded(name, base, before) == wanted
        if name == "model" and self.refused_once:
            return None
        if not any(event.was_held for event in mine) or (meant and name == "initiator"):
            return meant
        return None

    def _folded(self, name: str, base: object, updates: list[Event]) -> object:
        """The field after these updates."""
        seen: set[EventId] = set()
        for event in updates:
            if event.delivery.position in self.quarantine.dead or event.envelope.event_id in seen:
                continue
            seen.add(event.envelope.event_id)
            base = event.body[name] if event.body.get(name) is not None else base
        return base

    def _makes_the_record(self, event: Event) -> bool:
        first_stored = {entry.position for entry in self.store.entries.values()}
        return event.envelope.record_id[14] != "8" or event.delivery.position in first_stored

    def _expected(self) -> dict[Identity, dict[str, object]]:
        """The fold, written in the plainest way: the record's own fields, then every update over it in order."""
        first_stored = {entry.position for entry in self.store.entries.values()}
        rows: dict[Identity, dict[str, object]] = {}
        for event in self.oracle.events:
            is_keyed = event.envelope.record_id[14] == "8"
            if event.envelope.kind is Kind.LOG_INSERT and (not is_keyed or event.delivery.position in first_stored):
                base = {"price": event.envelope.price_version, "media": event.body.get("media")}
                rows[PROJECT, event.envelope.record_id] = {**event.body, **base}
        seen: dict[tuple[RecordId, EventId], object] = {}
        for event in self.oracle.events:
            identity = (PROJECT, event.envelope.record_id)
            once = (event.envelope.record_id, event.envelope.event_id)
            if event.delivery.position in self.quarantine.dead:
                continue  # another body under a key that was stored before it
            if event.envelope.kind is Kind.LOG_UPDATE and seen.setdefault(once, event) is event and identity in rows:
                _update(rows[identity], event)
        return rows


def _update(row: dict[str, object], event: Event) -> None:
    given = {name: value for name, value in event.body.items() if value is not None}
    sides = given.pop("media", {})
    assert isinstance(sides, dict)
    row["media"] = {**(row["media"] or {}), **sides}  # type: ignore[dict-item]
    row.update(given)
    if {"model", "response_data"} & given.keys():
        row["price"] = event.envelope.price_version


def _compare(row: RequestLog, fields: dict[str, object]) -> None:
    duration = fields.get("duration")
    assert row.duration_ms == (None if duration is None else float(str(duration)) * 1000)
    assert row.model_requested == fields["model"]
    assert row.user_id == fields.get("initiator")
    assert row.description == fields.get("description")
    metadata = fields.get("metadata") or {}
    assert isinstance(metadata, dict)
    assert dict(row.metadata) == {name: str(value) for name, value in metadata.items()}
    assert row.price_version == fields["price"]
    response = fields.get("response_data") or {}
    assert isinstance(response, dict)
    tokens = response.get("usage", {}).get("prompt_tokens")
    assert row.input_tokens == tokens
    assert row.cost_computed == (None if tokens is None else tokens * 100 + int(str(fields["price"])))
    assert row.is_error == ("error" in response)
    cost = fields.get("cost")
    assert row.cost_provided == (None if cost is None else round(float(str(cost)) * 10**12))
    media = fields["media"] or {}
    assert isinstance(media, dict)
    stored = msgspec.json.decode(row.bodies.media) if row.bodies and row.bodies.media else []
    assert [item["side"] for item in stored] == [side for side in sorted(media) for _ in media[side]]


FoldingMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestFolding = FoldingMachine.TestCase


def test_another_body_under_a_used_key_is_a_dead_letter_and_changes_nothing() -> None:
    machine = FoldingMachine()
    machine.start()
    machine.report_with_key("a", {"model": "gpt-4o"})
    machine.report_with_key("a", {"model": "claude-3"})
    machine.report_with_key("a", {"model": "gpt-4o"})
    machine.teardown()
    assert {position.offset: dead.code for position, dead in machine.quarantine.dead.items()} == {
        1: RejectCode.KEY_REUSED
    }
