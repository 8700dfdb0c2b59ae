"""How often the garbage collector looks: rarely, since what a worker makes hardly ever refers to itself."""

import gc

_NEW_OBJECTS = 20_000
"""As many new ones make it look: about those of a thousand reports, and not of forty as by default.

What a batch holds lives until it is written, so each look found everything alive: that took 9 of 70 us per row.
"""


def collect_rarely() -> None:
    """For the start of a process that works: what is there by then is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
