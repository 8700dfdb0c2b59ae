"""The standalone product on a disk that loses power, fills up, or fails."""

from pathlib import Path

from tests.faults.disk_full import fill_disk
from tests.faults.io_errors import fail_fsync
from tests.faults.power_cut import cut_power
from tests.faults.scenario import RunContext, RunReport, Scenario
from tests.faults.standalone import StandaloneTarget

_CUTS = 5
_SMALL_BATCHES = {"LLMLEDGER_BATCH__MAX_AGE_SECONDS": "0.03"}


def _plain(home: Path) -> StandaloneTarget:
    return StandaloneTarget(home)


def _merging(home: Path) -> StandaloneTarget:
    """Many small parts: there is a merge at every moment."""
    return StandaloneTarget(home, settings=_SMALL_BATCHES)


def _power_cut(context: RunContext) -> RunReport:
    return cut_power(context, _plain, cuts=_CUTS)


def _power_cut_in_merges(context: RunContext) -> RunReport:
    return cut_power(context, _merging, cuts=_CUTS)


def _disk_full(context: RunContext) -> RunReport:
    return fill_disk(context, _plain)


def _fsync_fails(context: RunContext) -> RunReport:
    return fail_fsync(context, lambda run: StandaloneTarget(run.data))


SCENARIOS = (
    Scenario("power-cut", f"power cut of a loop-mounted ext4, {_CUTS} in a run", 3, 0, False, _power_cut),
    Scenario("power-cut-merging", f"power cut while parts merge, {_CUTS} in a run", 3, 0, False, _power_cut_in_merges),
    Scenario("disk-full", "the disk fills up and has room again, 3 times in a run", 4, 0, False, _disk_full),
    Scenario("fsync-fails", "an fsync reports EIO, 3 times in a run", 4, 0, False, _fsync_fails),
)
