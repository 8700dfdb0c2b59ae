"""How a worker is doing, for its health endpoints: written by a driver, read by whoever answers a probe."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Vitals:
    """What the driver knows of itself at this moment; None where it does not know yet."""

    ready: bool = False  # reading: connected, with partitions of its own or waiting for some
    last_progress: datetime | None = None  # the last commit, or the last time that there was nothing to do
    owned: frozenset[int] = frozenset()  # its partitions of the bus
    lag: int | None = None  # records on its partitions that are not committed
    read: asyncio.Event = field(default_factory=asyncio.Event)  # set when the records of a batch are decoded
    on_trial: bool = False  # what is being stored is under a mark, see `attempts`: only its first chunk is wanted
    waits: asyncio.Event = field(default_factory=asyncio.Event)  # set when the work begins to wait for the store
    failure: str | None = None  # what went wrong for good: this worker ends, and has to be started again
