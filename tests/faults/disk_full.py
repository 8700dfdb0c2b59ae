"""A disk that fills up under load: 503 and nothing else, no report that was acknowledged is lost, and it goes on.

The product runs on a small file system of its own; a file beside its folder takes the room and gives it back.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.faults.load import Load, LoadPlan
from tests.faults.power_cut import NoLoopDevice, done
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport
from tests.faults.standalone import StandaloneTarget, await_ready

SIZE_MIB = 400
PLAN = LoadPlan(per_second=200.0)
_TURNS = 3
_BLOCK = bytes(1024 * 1024)


def fill_disk(context: RunContext, make: Callable[[Path], StandaloneTarget]) -> RunReport:
    """Fill it to the last byte and make room again, a few times."""
    home = context.data / "home"  # not on that disk: what the product says needs room too
    with small_disk(home / "data", SIZE_MIB) as disk:
        target = make(home)
        try:
            target.start()
            return under_load(context, target, lambda load: _turns(context, target, disk, load), PLAN)
        finally:
            target.close()


def _turns(context: RunContext, target: StandaloneTarget, disk: Path, load: Load) -> None:
    for turn in range(_TURNS):
        load.wait(context.random.uniform(0.5, 1.5))
        ballast = disk / "ballast"
        _take_all_room(ballast)
        context.fault(f"the disk is full ({turn + 1})")
        load.wait(context.random.uniform(2.0, 4.0))
        _expect_refusal(target)
        ballast.unlink()
        await_ready(f"{target.url}/health/ready", lambda: False)
        acknowledged = load.acknowledged()
        load.wait(2.0)
        if load.acknowledged() == acknowledged:
            raise RuntimeError("nothing is accepted although there is room again")


def _expect_refusal(target: StandaloneTarget) -> None:
    try:
        health = httpx.get(f"{target.url}/health/ready", timeout=10.0)
    except httpx.TransportError as error:
        raise RuntimeError(f"it does not live with a full disk\n{target.messages()[-6000:]}") from error
    if health.status_code != 503 or "disk" not in health.text:
        raise RuntimeError(f"the health page does not tell of the full disk: {health.status_code} {health.text}")


def _take_all_room(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        size = len(_BLOCK)
        while size:
            try:
                file.write(_BLOCK[:size])
            except OSError:
                size //= 2
        os.fsync(file.fileno())


@contextmanager
def small_disk(at: Path, mib: int) -> Iterator[Path]:
    """A tmpfs of that size, until the end of the block."""
    at.mkdir(parents=True, exist_ok=True)
    done(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(at)])
    try:
        yield at
    finally:
        done(["umount", str(at)])


__all__ = ["NoLoopDevice", "fill_disk", "small_disk"]
