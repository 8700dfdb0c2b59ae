"""`python -m tests.bench.part NAME`: one part as a process of its own. The plan is on stdin, figures go to stdout."""

import os
import sys
from collections.abc import Callable, Mapping

import msgspec

from tests.bench import batch, freshness, ingest, listing, memory, pipeline, scaling, standalone, worker
from tests.bench.figures import Figure
from tests.bench.plan import Plan

PARTS: Mapping[str, Callable[[Plan], list[Figure]]] = {
    "ingest": ingest.measured,
    "batch": batch.measured,
    "worker": worker.measured,
    "pipeline": pipeline.measured,
    "scaling": scaling.measured,
    "standalone": standalone.measured,
    "freshness": freshness.measured,
    "memory": memory.measured,
    "listing": listing.measured,
}
WITH_KAFKA = frozenset(PARTS) - {"pipeline", "standalone", "listing"}


def main(name: str) -> None:
    """Measure, and end at once: the embedded engine can crash while the interpreter tears itself down."""
    figures = PARTS[name](msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))
    sys.stdout.buffer.write(msgspec.json.encode(figures))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
