"""The worker of the standalone mode: read the log, process, commit. Stops on the first error; nothing is skipped."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from ledger.bus import Delivery, Source
from ledger.failpoints import failpoint
from ledger.settings import BatchSection
from workers.batching import BatchBuffer
from workers.receipts import Receipt
from workers.vitals import Vitals

Handle = Callable[[Sequence[Delivery]], Awaitable[Receipt]]


async def run_log_worker(
    source: Source, batch: BatchSection, handle: Handle, *, stop: asyncio.Event, vitals: Vitals
) -> None:
    """Process what is on the log and what comes, until `stop` is set; then finish what was read already."""
    buffer: BatchBuffer[Delivery] = BatchBuffer(batch, time.monotonic)
    stopping = asyncio.create_task(stop.wait())
    vitals.ready = True
    try:
        while not stop.is_set() or len(buffer):
            await _fill(buffer, source, batch, stopping)
            chunk = buffer.take()
            if not chunk:
                break  # the source is closed, or there is nothing left to finish
            if stop.is_set():
                failpoint("B7")
            failpoint("C3")
            receipt = await handle(chunk)
            failpoint("C4")
            await source.commit(receipt.resume_at)
            failpoint("C5")
            vitals.last_progress = datetime.now(UTC)
    finally:
        vitals.ready = False
        stopping.cancel()


async def _fill(
    buffer: BatchBuffer[Delivery], source: Source, batch: BatchSection, stopping: asyncio.Task[bool]
) -> None:
    """Read until a batch is worth an insert, or nothing more may be waited for."""
    while not stopping.done():
        wait = buffer.seconds_until_ready()
        if wait == 0:
            return
        reading = asyncio.ensure_future(source.poll(batch.max_rows - len(buffer)))
        await asyncio.wait({reading, stopping}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
            await asyncio.wait({reading})
        if reading.cancelled():
            continue
        found = reading.result()
        if not found:
            return  # the source is closed
        for delivery in found:
            failpoint("B0", delivery.body or b"")
            buffer.add(delivery, len(delivery.body or b""))
