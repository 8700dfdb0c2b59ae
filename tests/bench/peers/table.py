"""What was measured as two tables: storing, and listing."""

from collections.abc import Sequence

from tests.bench.peers.measuring import Listed, Stored

_STORED = (
    "system",
    "per request",
    "acknowledged/s",
    "queryable/s",
    "acknowledged",
    "found",
    "CPU s/1,000",
    "memory MB",
    "load before",
    "notes",
)
_LISTED = ("system", "page of 50, newest first", "rows stored", "p50 ms", "p99 ms", "requests")


def stored_table(results: Sequence[Stored]) -> str:
    """A line per system and way of sending. A dash stands for what is not known."""
    return _table(_STORED, [_stored(result) for result in results], left={0, 9})


def listed_table(results: Sequence[Listed]) -> str:
    """A line per system and list."""
    return _table(_LISTED, [_listed(result) for result in results], left={0, 1})


def _stored(result: Stored) -> tuple[str, ...]:
    return (
        f"{result.system} {result.version}",
        str(result.batch),
        _number(result.acknowledged_rate),
        _number(result.found_rate),
        f"{result.acknowledged:,} of {result.calls:,}",
        f"{result.found:,}",
        _number(result.cpu_per_thousand),
        f"{result.memory_bytes / 1e6:,.0f}",
        f"{result.load_before:.1f}",
        _notes(result),
    )


def _notes(result: Stored) -> str:
    notes = [f"{count:,} calls: {reason}" for reason, count in sorted(result.refused.items())]
    if result.unsent:
        notes.append(f"{result.unsent:,} calls: no time")
    if result.put_off:
        notes.append(f"{result.put_off:,} requests told to come again")
    if result.found < result.acknowledged:
        notes.append(f"{result.acknowledged - result.found:,} acknowledged calls not found in time")
    return ", ".join(notes)


def _listed(result: Listed) -> tuple[str, ...]:
    return (
        result.system,
        result.page,
        f"{result.rows:,}",
        _number(result.p50),
        _number(result.p99),
        str(result.requests),
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: set[int]) -> str:
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [
        "  ".join(cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(cells))
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    return "\n".join([texts[0].rstrip(), "-" * len(texts[0].rstrip()), *(text.rstrip() for text in texts[1:])])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"
