"""The model of dead letters and their replay: refused updates and creates, crashes, redelivery, zombies, lost marks.

A store that refuses some rows puts their events among the dead letters. Once it takes them, and every dead letter was
replayed, each record is the fold of all its accepted events, as if nothing had ever been refused. A record that is a
user's in that fold up to the place of a deletion of the user is not visible.
"""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.bus import Delivery, Position
from ledger.deletion import Scope, scope_deletion
from ledger.ids import EventId, ProjectId, RecordId, keyed_id, plain_id
from ledger.report import VERSION, Envelope, Kind, bus_key, encode
from ledger.request_log import RequestLog
from ledger.store import Identity
from tests.support.recording import Crash, RememberingBlobs, RememberingStore
from tests.support.remembering_worker import price
from workers.decoding import RejectCode, Rejected
from workers.pipeline import Deps, process

PROJECT = ProjectId("acme")
SECRET = b"s" * 32
POISON = "poison"

DESCRIPTIONS = st.sampled_from([None, "a", "b", POISON, POISON])
USERS = st.sampled_from([None, "user:1", "user:2"])
CRASHES = st.none() | st.integers(0, 7)


@dataclass
class TableOfTheDead:
    """Behaves like the table: each death is a row, that after the most replays counts, marks stand beside it."""

    deaths: dict[tuple[Position, int], Rejected] = field(default_factory=dict)
    marks: set[tuple[Position, int]] = field(default_factory=set)

    async def put(self, rejected: list[Rejected]) -> None:
        self.deaths |= {(item.delivery.position, item.delivery.replays): item for item in rejected}

    def waiting(self) -> dict[Position, Rejected]:
        """The latest death of each that was not replayed since."""
        latest: dict[Position, int] = {}
        for position, replays in self.deaths:
            latest[position] = max(replays, latest.get(position, 0))
        return {
            position: self.deaths[position, replays]
            for position, replays in latest.items()
            if (position, replays) not in self.marks
        }


@dataclass
class Accepted:
    """An accepted event, as the oracle remembers it."""

    position: Position
    record_id: RecordId
    is_update: bool
    body: dict[str, str | None]


class ReplayMachine(RuleBasedStateMachine):
    """Accepts events, lets them die, replays them in every unlucky way."""

    @initialize()
    def start(self) -> None:
        self.store = RememberingStore(refuses=self._refuses)
        self.dead = TableOfTheDead()
        deps = Deps(store=self.store, blobs=RememberingBlobs(), quarantine=self.dead, price=price)  # type: ignore[arg-type]
        deps.ceiling.accepted = 10**9
        self.process = partial(process, deps)
        self.bus: list[Delivery] = []
        self.accepted: list[Accepted] = []
        self.deleted: dict[Position, str] = {}
        self.cursor = 0
        self.broken = True
        self.versions: dict[Identity, int] = {}
        self.now = 1_700_000_000_000

    @rule(description=DESCRIPTIONS, user=USERS)
    def report(self, description: str | None, user: str | None) -> None:
        self._accept(plain_id(self.now, SECRET), {"description": description, "initiator": user}, is_update=False)

    @rule(key=st.sampled_from("ab"), description=DESCRIPTIONS)
    def report_with_key(self, key: str, description: str | None) -> None:
        self._accept(keyed_id(key, SECRET), {"description": description, "initiator": None}, is_update=False)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data(), description=DESCRIPTIONS, user=USERS)
    def update(self, data: st.DataObject, description: str | None, user: str | None) -> None:
        record_id = data.draw(st.sampled_from(sorted({event.record_id for event in self.accepted})))
        self._accept(record_id, {"description": description, "initiator": user}, is_update=True)

    @rule(user=st.sampled_from(["user:1", "user:2"]))
    def delete_by_user(self, user: str) -> None:
        self.now += 1
        record = scope_deletion(PROJECT, EventId(plain_id(self.now, SECRET)), (Scope.USER, user), self.now)
        place = Position(1, 0, len(self.bus))
        self.bus.append(Delivery(place, record.key, record.envelope, record.body))
        self.deleted[place] = user

    @precondition(lambda self: self.cursor < len(self.bus))
    @rule(size=st.integers(1, 6), crash_before=CRASHES)
    def process_a_chunk(self, size: int, crash_before: int | None) -> None:
        end = min(self.cursor + size, len(self.bus))
        if self._process(self.bus[self.cursor : end], crash_before):
            self.cursor = end

    @precondition(lambda self: self.cursor > 0)
    @rule(data=st.data(), crash_before=CRASHES)
    def a_zombie_writes_an_old_chunk_again(self, data: st.DataObject, crash_before: int | None) -> None:
        start = data.draw(st.integers(0, self.cursor - 1))
        self._process(self.bus[start : data.draw(st.integers(start + 1, self.cursor))], crash_before)

    @precondition(lambda self: self.cursor > 0)
    @rule(data=st.data())
    def the_bus_is_read_again_from_earlier(self, data: st.DataObject) -> None:
        self.cursor = data.draw(st.integers(0, self.cursor - 1))

    @precondition(lambda self: self.dead.waiting())
    @rule(data=st.data(), is_marked=st.booleans())
    def a_dead_letter_is_replayed(self, data: st.DataObject, is_marked: bool) -> None:
        self._replay(data.draw(st.sampled_from(sorted(self.dead.waiting()))), is_marked=is_marked)

    @rule()
    def the_store_takes_what_it_refused_or_refuses_again(self) -> None:
        self.broken = not self.broken

    @invariant()
    def versions_never_go_back(self) -> None:
        for identity, row in self.store.visible().items():
            assert row.version >= self.versions.get(identity, 0)
            self.versions[identity] = row.version

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.broken = False
        self._process(self.bus[self.cursor :], None)
        self.cursor = len(self.bus)
        for _ in range(3):  # what a late worker has voided is refused once more, and then restored
            for position, item in sorted(self.dead.waiting().items()):
                if item.code is not RejectCode.KEY_REUSED:
                    self._replay(position, is_marked=True)
            self._process(self.bus[self.cursor :], None)
            self.cursor = len(self.bus)
        assert {item.code for item in self.dead.waiting().values()} <= {RejectCode.KEY_REUSED}
        visible = {identity: (row.description, row.user_id) for identity, row in self.store.visible().items()}
        expected = self._expected(len(self.bus))
        assert visible.items() <= expected.items()
        must_go, may_go = self._meant()
        assert not must_go & visible.keys()
        assert expected.keys() - visible.keys() <= may_go

    def _accept(self, record_id: RecordId, body: dict[str, str | None], *, is_update: bool) -> None:
        self.now += 1
        event_id = EventId(plain_id(self.now, SECRET) if is_update else record_id)
        envelope = Envelope(
            version=VERSION,
            record_id=record_id,
            event_id=event_id,
            kind=Kind.LOG_UPDATE if is_update else Kind.LOG_INSERT,
            project=PROJECT,
            accepted_at=self.now,
            created_at=self.now - 1,
            price_version="1",
        )
        raw = {"id": record_id, "update_data": body} if is_update else {"model": "gpt-4o", **body}
        place = Position(1, 0, len(self.bus))
        self.bus.append(Delivery(place, bus_key(PROJECT, record_id), encode(envelope), msgspec.json.encode(raw)))
        self.accepted.append(Accepted(place, record_id, is_update, body))

    def _replay(self, position: Position, *, is_marked: bool) -> None:
        """A mark that is lost with its process makes the same replay possible once more."""
        delivery = self.dead.waiting()[position].delivery
        place = Position(1, 0, len(self.bus))
        self.bus.append(replace(delivery, replayed_at=place, replays=delivery.replays + 1))
        if is_marked:
            self.dead.marks.add((position, delivery.replays))

    def _process(self, chunk: list[Delivery], crash_before: int | None) -> bool:
        self.store.crash_before = crash_before
        try:
            asyncio.run(self.process(chunk))
        except Crash:
            return False
        finally:
            self.store.crash_before = None
        return True

    def _refuses(self, row: RequestLog) -> bool:
        return self.broken and row.description == POISON

    def _meant(self) -> tuple[set[Identity], set[Identity]]:
        """The records that deletions mean, and those that one may have met when not all of their events were known."""
        must_go: set[Identity] = set()
        may_go: set[Identity] = set()
        for place, user in self.deleted.items():
            then = self._expected(place.offset)
            must_go |= {identity for identity, (_, owner) in then.items() if owner == user}
            for event in self.accepted:
                if event.position < place and event.body["initiator"] == user:
                    may_go.add((PROJECT, event.record_id))
        return must_go, may_go

    def _expected(self, until: int) -> dict[Identity, tuple[str | None, str | None]]:
        """Every record's create (under a key: the first that was stored), then every update over it, up to a place."""
        first_stored: dict[Identity, Position] = {}
        for (identity, position), _ in sorted(self.store.entries.items(), key=lambda item: item[0][1], reverse=True):
            first_stored[identity] = position
        rows: dict[Identity, dict[str, str | None]] = {}
        accepted = [event for event in self.accepted if event.position.offset < until]
        for event in accepted:
            identity = (PROJECT, event.record_id)
            if not event.is_update and first_stored.get(identity, event.position) == event.position:
                rows[identity] = dict(event.body)
        for event in accepted:
            if event.is_update and (PROJECT, event.record_id) in rows:
                given = {name: value for name, value in event.body.items() if value is not None}
                rows[PROJECT, event.record_id].update(given)
        return {identity: (row["description"], row["initiator"]) for identity, row in rows.items()}


ReplayMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestReplay = ReplayMachine.TestCase
