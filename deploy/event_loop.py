"""How a service's coroutine is run: on uvloop, in an interpreter that is set for work.

A worker's threads take turns: while one hands a block to the store, another prepares the next one.
"""

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop

NEW_OBJECTS = 20_000
"""As many new ones make the collector look: about those of a thousand reports, and not of forty as by default.

What a batch holds lives until it is written, so each look found everything alive: that took 9 of 70 us per row.
"""

TURN_SECONDS = 0.001
"""A thread that wants to go on waits so long at most. By default it is five times that, each time that one comes back
from the engine: storing took twice as long while another thread prepared."""


def settle() -> None:
    """For the start of a process: what is there by then is never looked at by the collector again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 10, 10)
    sys.setswitchinterval(TURN_SECONDS)


def run(service: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine to its end."""
    settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(service)
