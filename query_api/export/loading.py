"""Rows → rows with their bodies, only as many at once as fit into a few megabytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.request_log import Bodies, RequestLog, RowKey
from query_api.errors import TooExpensive
from query_api.export.columns import Item
from query_api.reading import Reader

TARGET_CHARACTERS = 8 * 1024**2
SEVERAL_ROWS_BYTES = 32 * 1024**2  # a single row may be as large as rows can be
FIRST_ROWS = 50
MOST_ROWS = 1000  # so many keys fit in one statement

NO_BODIES = Bodies()


@dataclass(slots=True)
class Loader:
    """Reads bodies. Of how many rows at once, it learns from those that it has read."""

    reader: Reader
    body_names: Sequence[str]  # none: no bodies are read
    rows: int = FIRST_ROWS

    async def load(self, logs: Sequence[RequestLog]) -> tuple[list[Item], Sequence[RequestLog]]:
        """The first of these rows with their bodies, and those that are still to come."""
        if not self.body_names:
            return [Item(log, NO_BODIES) for log in logs], ()
        keys, bodies = await self._bodies([log.key for log in logs[: self.rows]])
        here, rest = logs[: len(keys)], logs[len(keys) :]
        gone = await self._deleted([key for key in keys if key not in bodies])
        items = [Item(log, bodies.get(log.key, NO_BODIES)) for log in here if log.key not in gone]
        self._learn(items)
        return items, rest

    async def _deleted(self, keys: Sequence[RowKey]) -> set[RowKey]:
        """Which of these rows without bodies have been deleted since they were read."""
        return set(keys) - set(await self.reader.renewed().logs(keys)) if keys else set()

    async def _bodies(self, keys: Sequence[RowKey]) -> tuple[Sequence[RowKey], dict[RowKey, Bodies]]:
        """As many from the beginning as are not too large together; one row is read however large it is."""
        while True:
            chosen = keys[: self.rows]
            reader = self.reader.renewed(SEVERAL_ROWS_BYTES if len(chosen) > 1 else None)
            try:
                return chosen, await reader.bodies(chosen, self.body_names)
            except TooExpensive:
                if len(chosen) <= 1:
                    raise
                self.rows = len(chosen) // 2

    def _learn(self, items: Sequence[Item]) -> None:
        if items:
            characters = sum(self._size(item.bodies) for item in items)
            fitting = len(items) * TARGET_CHARACTERS // max(1, characters)
            self.rows = max(1, min(fitting, 2 * self.rows, MOST_ROWS))

    def _size(self, bodies: Bodies) -> int:
        return sum(len(getattr(bodies, name) or "") for name in self.body_names)
