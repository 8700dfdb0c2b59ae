"""When to try again: a policy that is a pure value, and the loop that follows it. Sleeping is a parameter."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger.errors import Unavailable

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays, in seconds, that double up to `max_delay`. There is no last attempt: nothing is dropped."""

    base_delay: float = 0.1
    max_delay: float = 30.0
    before_wait: Callable[[], None] = lambda: None  # told each time: what is waited for is outside of this process

    def delay_before(self, attempt: int) -> float:
        """Seconds to wait before `attempt` (2 is the first retry)."""
        return min(self.base_delay * 2.0 ** min(attempt - 2, 60), self.max_delay)


async def retrying(action: Callable[[], Awaitable[T]], policy: RetryPolicy, sleep: Sleep = asyncio.sleep) -> T:
    """The action's result, tried again for as long as it raises `Unavailable`; every other error ends it."""
    attempt = 1
    while True:
        try:
            return await action()
        except Unavailable as error:
            attempt += 1
            delay = policy.delay_before(attempt)
            log.warning("Not available, trying again.", extra={"error": str(error), "attempt": attempt, "in_s": delay})
            policy.before_wait()
            await sleep(delay)
