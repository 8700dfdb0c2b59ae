"""What is measured, and the one table that shows it. A figure never stands alone: its limit was measured beside it."""

from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the product and of the limit that it is held against."""

    name: str
    unit: str  # "1/s": more is better; "ms": less is better
    ours: float
    limit_name: str
    limit: float
    count: int  # of what was measured, on our side
    seconds: float  # that it took
    cpu_us: float | None = None  # of our process, per item
    limit_cpu_us: float | None = None

    @property
    def ratio(self) -> float:
        """Ours by the limit: 1 is as good as the limit, whatever the unit."""
        return self.ours / self.limit


_HEADINGS = ("measured", "ours", "limit", "unit", "ratio", "CPU us", "of limit", "count", "seconds", "the limit is")
_LEFT = (0, 9)


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    rows = [_HEADINGS, *map(_cells, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [cell.ljust(width) if column in _LEFT else cell.rjust(width) for column, (cell, width) in pairs]


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        _number(figure.ours),
        _number(figure.limit),
        figure.unit,
        f"{figure.ratio:.2f}",
        _number(figure.cpu_us),
        _number(figure.limit_cpu_us),
        f"{figure.count:,}",
        f"{figure.seconds:.1f}",
        figure.limit_name,
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
