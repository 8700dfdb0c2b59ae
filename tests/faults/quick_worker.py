"""`python -m tests.faults.quick_worker workers …`: the product's own command, with a group that notices deaths quickly.

All that differs is the pace of the membership: with the production pace, a worker that was killed keeps its partitions
for 45 seconds, and a run of a hundred kills would take hours. The broker must allow sessions this short.
"""

from functools import partial

from deploy import services
from deploy.cli import main
from workers.drivers.kafka import run_kafka_worker
from workers.drivers.kafka_subscriber import Pace

QUICK = Pace(session_ms=3_000, heartbeat_ms=400, rebalance_ms=12_000, lag_seconds=1.0)

if __name__ == "__main__":
    # The wiring of the product with one argument more: what is run is `run_workers`, not a copy of it.
    vars(services)["run_kafka_worker"] = partial(run_kafka_worker, pace=QUICK)
    main()
