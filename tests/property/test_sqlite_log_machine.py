"""The log behaves like a list that survives closing and crashing, and loses nothing that it acknowledged.

A crash is a copy of the files as they lie on the disk while the log is open, with more bytes behind the last write or
with the last bytes of a write that nobody was told of missing. What a power cut does to the disk itself is not shown.
"""

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.bus import Delivery, Position, Record, committable
from ledger.bus.sqlite_log import Retention, SqliteLog

T = TypeVar("T")

RECORDS = st.builds(
    Record,
    key=st.binary(max_size=5),
    envelope=st.binary(max_size=20),
    body=st.binary(max_size=300) | st.just(b"x" * 5_000),
    headers=st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=3)), max_size=2).map(tuple),
)


def changed_bytes(before: bytes, after: bytes) -> range:
    """Where a file was written. The write may have begun over something that lay behind the end of the last one."""
    end = len(after)
    if len(before) == end:
        end -= first_difference(before[::-1], after[::-1])
    return range(first_difference(before, after), end)


def first_difference(some: bytes, others: bytes) -> int:
    return next((at for at, (one, other) in enumerate(zip(some, others, strict=False)) if one != other), len(some))


JUNK = Random(1).randbytes(8000)
"""Of no period: a period of four bytes is a log whose frames all carry the salt of its header, like a damaged one."""


class SqliteLogMachine(RuleBasedStateMachine):
    """Appends, reads, commits, prunes, closes and crashes; `model` is every acknowledged record, by offset."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.generation = 0
        self.model: dict[int, Record] = {}
        self.pruned: set[int] = set()
        self.read_to = 1  # the next offset that `poll` gives
        self.committed = 1
        self.log = SqliteLog(self.path)

    @property
    def path(self) -> Path:
        return Path(self.folder.name) / str(self.generation) / "log.sqlite"

    @rule(records=st.lists(RECORDS, min_size=1, max_size=5))
    def append(self, records: list[Record]) -> None:
        for position, record in zip(self._published(records), records, strict=True):
            assert position.offset not in self.model, "an offset is given once"
            assert position.offset > max(self.model, default=0)
            self.model[position.offset] = record

    @rule(records=st.lists(RECORDS, min_size=1, max_size=3), times=st.sampled_from([1, 30]))
    def append_together(self, records: list[Record], times: int) -> None:
        """More than go into one statement, too."""
        outcomes = self._run(self.log.publish_all(records * times))
        places = [outcome.offset for outcome in outcomes if isinstance(outcome, Position)]
        assert places == list(range(places[0], places[0] + len(records) * times))
        assert places[0] > max(self.model, default=0)
        self.model.update(zip(places, records * times, strict=True))

    @precondition(lambda self: self.read_to <= max(self.model, default=0))
    @rule(limit=st.integers(1, 4))
    def poll(self, limit: int) -> None:
        found = self._run(self.log.poll(limit))
        self._assert_are(found, [offset for offset in self.model if offset >= self.read_to][:limit])
        self.read_to = found[-1].position.offset + 1

    @rule(back=st.integers(0, 3))
    def commit(self, back: int) -> None:
        resume_at = max(1, self.read_to - back)
        self._run(self.log.commit({0: resume_at}))
        self.committed = max(self.committed, resume_at)

    @rule(kept=st.integers(0, 3), seconds=st.sampled_from([-1.0, 3600.0]))
    def prune(self, kept: int, seconds: float) -> None:
        deleted = self._run(self.log.prune(Retention(seconds=seconds, max_rows=kept)))
        oldest_kept = self.committed if seconds < 0 else self.committed - kept
        gone = {offset for offset in self.model if offset < oldest_kept} - self.pruned
        assert deleted == len(gone)
        self.pruned |= gone

    @rule()
    def everything_is_read_and_forgotten(self) -> None:
        while self.read_to <= max(self.model, default=0):
            self.poll(1000)
        self.commit(back=0)
        self.prune(kept=0, seconds=-1.0)

    @rule()
    def reopen(self) -> None:
        self._run(self.log.close())
        self.log = SqliteLog(self.path)
        self.read_to = self.committed

    @rule(junk=st.binary(max_size=200) | st.just(JUNK))
    def crash_with_something_torn_behind_the_last_write(self, junk: bytes) -> None:
        self._crash(lambda wal: wal.write_bytes(wal.read_bytes() + junk if wal.exists() else junk))

    @rule(records=st.lists(RECORDS, min_size=1, max_size=3), share=st.integers(0, 999))
    def crash_in_the_middle_of_a_write(self, records: list[Record], share: int) -> None:
        """Nobody was told of these records: they are not there at all, and what was there before is.

        Where it is torn is drawn as a share: how many bytes differ depends on the file's own random salt.
        """
        before = self._wal()
        self._published(records)
        after = self._wal()
        written = changed_bytes(before, after)
        torn_at = written[share * len(written) // 1000]
        self._crash(lambda wal: wal.write_bytes(after[:torn_at]))

    @invariant()
    def what_waits_is_counted(self) -> None:
        waiting = sum(offset >= self.committed for offset in self.model)
        assert self._run(self.log.waiting()) == waiting

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        try:
            self._run(self.log.close())
            self.read_to = self.committed
            self.log = SqliteLog(self.path)
            self._assert_unread_is_readable()
            self._run(self.log.close())
        finally:  # a loop that is left open is found in some other test
            self.loop.close()
            self.folder.cleanup()

    def _crash(self, spoil: Callable[[Path], object]) -> None:
        """Go on with a copy of the files as they are now; `spoil` changes that of the last writes."""
        old, source = self.log, self.path.parent
        self.generation += 1
        self.path.parent.mkdir()
        for file in source.iterdir():
            if not file.name.endswith(("-shm", ".lock")):  # neither is read after a crash
                shutil.copyfile(file, self.path.parent / file.name)
        spoil(self.path.with_name("log.sqlite-wal"))
        self._run(old.close())
        self.log = SqliteLog(self.path)
        self.read_to = self.committed

    def _assert_unread_is_readable(self) -> None:
        unread = [offset for offset in self.model if offset >= self.read_to]
        assert self._run(self.log.waiting()) == len(unread)
        found: list[Delivery] = []
        while len(found) < len(unread):
            found.extend(self._run(self.log.poll(1000)))
        self._assert_are(found, unread)
        assert not set(unread) & self.pruned

    def _assert_are(self, found: Sequence[Delivery], offsets: list[int]) -> None:
        expected = [self.model[offset] for offset in offsets]
        assert [delivery.position for delivery in found] == [Position(1, 0, offset) for offset in offsets]
        assert [Record(d.key or b"", d.envelope or b"", d.body or b"", d.headers) for d in found] == expected
        assert committable(found) == ({0: offsets[-1] + 1} if offsets else {})

    def _published(self, records: list[Record]) -> list[Position]:
        async def together() -> list[Position]:
            return await asyncio.gather(*(self.log.publish(record) for record in records))

        return self._run(together())

    def _wal(self) -> bytes:
        wal = self.path.with_name("log.sqlite-wal")
        return wal.read_bytes() if wal.exists() else b""

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)


SqliteLogMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSqliteLog = SqliteLogMachine.TestCase
