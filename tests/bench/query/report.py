"""What was found, as text: one table of queries, what follows from them, many clients at once, and the data set."""

from collections.abc import Iterator, Sequence

from tests.bench.query.measuring import Latencies, Measured
from tests.bench.query.mix import CLIENTS, P99_BY_SINGLE_P50, Kind
from tests.bench.query.queries import CURSOR_PAGE, FIRST_PAGE
from tests.bench.query.session import GROWTH_BY, Found

DEPTH_BY_FIRST_PAGE = 1.5
GROWTH_AT_MOST = 1.3

_HEADINGS = ("query", "p50", "p99", "limit p50", "p99", "ratio", "at most", "", "runs", "the limit is")
_KIND_HEADINGS = ("query", "asked", "p50", "p99", "alone p50", "p99 / alone", "failures", "")


def report(found: Found, rows: int) -> str:
    """Everything, in the order in which it was measured. Times are milliseconds."""
    states = list(dict.fromkeys(one.state for one in found.measured))
    parts = [_state(state, [one for one in found.measured if one.state == state]) for state in states]
    parts += ["\n".join(_followed(found, rows)), _mix(found), "\n".join(_facts(found))]
    return "\n\n".join(part for part in parts if part)


def _state(state: str, measured: Sequence[Measured]) -> str:
    lines = [f"{state.upper()} (ms)", _table(_HEADINGS, [_cells(one) for one in measured], left=(0, 7, 9))]
    lines += [f"!! {one.name}: {one.trouble}" for one in measured if one.trouble]
    return "\n".join(lines)


def _cells(one: Measured) -> tuple[str, ...]:
    allowance = f" + {one.allowance_ms:.0f} ms" if one.allowance_ms else ""
    return (
        one.name,
        *_times(one.ours),
        *_times(one.limit),
        "-" if one.ratio is None else f"{one.ratio:.2f}",
        "-" if one.target is None else f"{one.target:.1f}{allowance}",
        _verdict(one.met),
        f"{one.ours.count if one.ours else 0}",
        one.limit_name,
    )


def _followed(found: Found, rows: int) -> Iterator[str]:
    """What is measured against our own figures."""
    for state in dict.fromkeys(one.state for one in found.smaller):
        first, deep = (_p50(found.measured, name, state) for name in (FIRST_PAGE, CURSOR_PAGE))
        if first and deep:
            yield _against(f"{state}: {CURSOR_PAGE} / our own first page", deep, first, DEPTH_BY_FIRST_PAGE)
        for name in (FIRST_PAGE, CURSOR_PAGE):
            here, there = _p50(found.measured, name, state), _p50(found.smaller, name, state)
            if here and there:
                sizes = f"{rows:,} / {rows // GROWTH_BY:,} rows"
                yield _against(f"{state}: growth, {name}, {sizes}", here, there, GROWTH_AT_MOST)


def _against(name: str, ours: float, other: float, at_most: float) -> str:
    ratio = ours / other
    return f"{name}: {ours:.1f} / {other:.1f} ms = {ratio:.2f}, at most {at_most}: {_verdict(ratio <= at_most)}"


def _p50(measured: Sequence[Measured], name: str, state: str) -> float | None:
    return next((one.ours.p50 for one in measured if one.ours and (one.name, one.state) == (name, state)), None)


def _mix(found: Found) -> str:
    if not found.mix:
        return ""
    heading = f"{CLIENTS} CLIENTS AT ONCE (ms; p99 below {P99_BY_SINGLE_P50:.0f} times the p50 of one client alone)"
    failures = [f"!! {kind.name}: {kind.failures[0]}" for kind in found.mix if kind.failures]
    return "\n".join([heading, _table(_KIND_HEADINGS, [_kind(kind) for kind in found.mix], left=(0, 7)), *failures])


def _kind(kind: Kind) -> tuple[str, ...]:
    taken, alone = kind.latencies, kind.single_p50
    return (
        kind.name,
        f"{taken.count if taken else 0}",
        *_times(taken),
        "-" if alone is None else f"{alone:.1f}",
        f"{taken.p99 / alone:.1f}" if taken and alone else "-",
        f"{len(kind.failures)}",
        _verdict(kind.met),
    )


def _facts(found: Found) -> Iterator[str]:
    speed = found.sent / found.fill_seconds
    yield f"filled through the store adapter: {found.sent:,} rows in {found.fill_seconds:.0f} s, {speed:,.0f}/s"
    for one in found.layouts:
        yield f"{one.state}: {one.table}: {one.parts} parts, {one.rows:,} rows, {one.bytes / 1e9:.2f} GB"
    for phase, size in found.memory.items():
        yield f"highest memory of the service, {phase}: {size / 1e6:,.0f} MB"


def _times(taken: Latencies | None) -> tuple[str, str]:
    return ("-", "-") if taken is None else (f"{taken.p50:,.1f}", f"{taken.p99:,.1f}")


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "MISSED", None: ""}[met]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])
