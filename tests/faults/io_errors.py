"""A disk that reports errors: the product ends at once and acknowledges nothing that it did not make durable.

strace makes the k-th fsync of the running process fail. After its end it is started anew on a sound disk, and whatever
was acknowledged is there.
"""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.load import Load, LoadPlan
from tests.faults.runner import under_load
from tests.faults.scenario import RunContext, RunReport
from tests.faults.standalone import PART, StandaloneTarget

PLAN = LoadPlan(per_second=150.0)
_TURNS = 3
_END_SECONDS = 60.0
_ATTACH_SECONDS = 15.0
_LOG_FAILED = "log.sqlite failed"


class NoStrace(Exception):
    """strace is needed and missing, or may not trace: install it (apt-get install strace), run as root."""


def fail_fsync(context: RunContext, make: Callable[[RunContext], StandaloneTarget]) -> RunReport:
    """A few failing fsyncs, each of another run of the product on the same data."""
    if shutil.which("strace") is None:
        raise NoStrace(NoStrace.__doc__)
    target = make(context)
    try:
        target.start()
        return under_load(context, target, lambda load: _turns(context, target, load), PLAN)
    finally:
        target.close()


def _turns(context: RunContext, target: StandaloneTarget, load: Load) -> None:
    for turn in range(_TURNS):
        load.wait(context.random.uniform(0.5, 1.5))
        at = context.random.randint(1, 40)
        tracer = _inject(json.loads((target.folder / "run.json").read_text())["pid"], at)
        try:
            code = target.wait_ended(PART, _END_SECONDS)
        finally:
            _ended(tracer)
        said = target.messages()
        if code != 1 or "Stopped" not in said:
            raise RuntimeError(f"exit {code} after a failed fsync, without saying why\n{said[-3000:]}")
        context.fault(f"EIO from fsync {at} ({turn + 1}): exit {code}, the log {_LOG_FAILED in said}")
        target.restart(PART)


def _inject(process_id: int, at: int) -> "subprocess.Popen[str]":
    """Every thread of the process; the at-th call of each fails, and all that follow."""
    rule = f"inject=fdatasync,fsync:error=EIO:when={at}+"
    command = [
        "strace",
        "-f",
        "-q",
        "-p",
        str(process_id),
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        rule,
        "-o",
        "/dev/null",
    ]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    give_up_at = time.monotonic() + _ATTACH_SECONDS
    while time.monotonic() < give_up_at:
        if tracer.poll() is not None:
            said = tracer.stderr.read() if tracer.stderr else ""
            raise NoStrace(f"{said.strip()} {NoStrace.__doc__}")
        if _is_traced(process_id):
            return tracer
        time.sleep(0.02)
    _ended(tracer)
    raise NoStrace("strace did not attach in time")


def _is_traced(process_id: int) -> bool:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in lines)


def _ended(tracer: "subprocess.Popen[str]") -> None:
    tracer.send_signal(signal.SIGTERM)
    tracer.wait(_ATTACH_SECONDS)
    if tracer.stderr:
        tracer.stderr.close()
