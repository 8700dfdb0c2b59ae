"""A record that has killed the worker again and again → a dead letter, without looking into it once more."""

import logging

from ledger.bus import Delivery, settled_by
from workers.decoding import RejectCode, Rejected
from workers.pipeline import Deps
from workers.retrying import retrying

log = logging.getLogger(__name__)

_DETAIL = "The worker died each time that it tried this record alone."


async def set_aside(deps: Deps, delivery: Delivery) -> None:
    """Durable on return; the record may then be passed. Raises what stops the worker."""
    dead = Rejected(delivery, RejectCode.KILLED_THE_WORKER, _DETAIL)
    await retrying(lambda: deps.quarantine.put([dead]), deps.retry)
    extra = {"reason": dead.code.value, "position": str(delivery.position)}
    log.error("A record that has killed the worker again and again is a dead letter now.", extra=extra)
    await retrying(lambda: deps.store.insert_progress(settled_by([delivery])), deps.retry)
