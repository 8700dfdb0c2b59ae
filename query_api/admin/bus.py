"""Putting events on the bus: the one way in which an admin endpoint changes a record."""

from dataclasses import dataclass

from ledger.bus import Position, Publisher, Record
from query_api.errors import NoBus


@dataclass(frozen=True, slots=True)
class Bus:
    """The bus, or the knowledge that this process was not told where it is."""

    publisher: Publisher | None

    def require(self) -> Publisher:
        """The publisher. Raises `NoBus`; called before anything else is done that needs it."""
        if self.publisher is None:
            raise NoBus
        return self.publisher

    async def publish(self, record: Record) -> Position:
        """Return once the record is durable. Raises `NoBus`, `BusUnavailable`, `TooLarge`."""
        return await self.require().publish(record)
