"""Load on an HTTP endpoint, from a process of its own: wrk where it is installed, else the bench's own generator."""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.bench.generator import Job, Outcome

_SPARE_SECONDS = 60.0
_TIMEOUT_SECONDS = 30  # of one request; wrk would give up after two
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


_PACE = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long nanoseconds; } bench_time; int clock_gettime(int, bench_time *);")
local time, first, sent = ffi.new("bench_time"), nil, 0
function delay()
  ffi.C.clock_gettime(0, time)
  local now = tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
  first, sent = first or now, sent + 1
  return math.max(0, first + sent * 1000 / %d - now)
end
"""  # each request has its place in time; one that is late goes at once


class LoadFailed(Exception):
    """Some answers were not 200, so what was measured is not what was meant."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is asked, again and again."""

    url: str  # with path and query
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


def tool() -> str:
    """What makes the load here."""
    return "wrk" if shutil.which("wrk") else "the bench's own generator (wrk is not installed)"


def steady_load(endpoint: Endpoint, *, connections: int, seconds: float, per_second: int | None = None) -> Outcome:
    """As many requests as are answered in that time, or so many a second of them. Raises `LoadFailed`."""
    wrk = shutil.which("wrk")
    if wrk:
        return _checked(_wrk(wrk, endpoint, connections, seconds, per_second))
    return _checked(_generated(_job(endpoint, connections, seconds, None, per_second)))


def counted_load(endpoint: Endpoint, *, requests: int, seconds: float) -> Outcome:
    """So many requests, one after the other, or as many as there is time for. Raises `LoadFailed`."""
    return _checked(_generated(_job(endpoint, 1, seconds, requests)))


def _checked(outcome: Outcome) -> Outcome:
    if outcome.failures or not outcome.requests:
        raise LoadFailed(f"{outcome.failures} of {outcome.requests} requests failed")
    return outcome


def _job(
    endpoint: Endpoint, connections: int, seconds: float, requests: int | None, per_second: int | None = None
) -> Job:
    address = urlsplit(endpoint.url)
    request = request_of(endpoint)
    return Job(address.hostname or "", address.port or 80, request, connections, seconds, requests, per_second)


def request_of(endpoint: Endpoint) -> bytes:
    """The whole request as it goes over the wire, keep-alive."""
    address = urlsplit(endpoint.url)
    target = f"{address.path}?{address.query}" if address.query else address.path
    headers = (*endpoint.headers, ("Host", address.netloc), ("Content-Length", str(len(endpoint.body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{endpoint.method} {target} HTTP/1.1\r\n{head}\r\n".encode() + endpoint.body


def _generated(job: Job) -> Outcome:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.generator"],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        timeout=job.seconds + _SPARE_SECONDS,
        check=True,
    )
    return msgspec.json.decode(ended.stdout, type=Outcome)


def _wrk(wrk: str, endpoint: Endpoint, connections: int, seconds: float, per_second: int | None) -> Outcome:
    whole = max(1, round(seconds))  # wrk takes whole seconds only
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "request.lua"
        body.write_bytes(endpoint.body)
        headers = "".join(f"wrk.headers[{_lua(name)}] = {_lua(value)}\n" for name, value in endpoint.headers)
        pace = _PACE % per_second if per_second else ""
        script.write_text(
            f"wrk.method = {_lua(endpoint.method)}\n"
            f'wrk.body = io.open({_lua(str(body))}, "rb"):read("*a")\n{headers}{pace}'
        )
        shape = ["-t1", f"-c{connections}", f"-d{whole}s", "--timeout", f"{_TIMEOUT_SECONDS}s", "--latency"]
        command = [wrk, *shape, "-s", str(script), endpoint.url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=whole + _SPARE_SECONDS, check=True)
    return read_wrk(ended.stdout)


def read_wrk(printed: str) -> Outcome:
    """What wrk's report says."""
    summary = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", printed)
    if summary is None:
        raise LoadFailed(f"wrk said: {printed}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    failures = sum(int(found) for match in (refused, broken) if match for found in match.groups())
    seconds = float(summary[2]) * (60 if summary[3] == "m" else _UNITS[summary[3]] / 1000)
    return Outcome(int(summary[1]), seconds, failures, _percentile(printed, "50%"), _percentile(printed, "99%"))


def _percentile(printed: str, name: str) -> float:
    found = re.search(rf"^ +{name} +([\d.]+)(us|ms|s)", printed, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")


def _lua(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
