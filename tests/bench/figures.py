"""What is measured, and the one table that shows it. A figure stands beside its limit, measured in the same run.

What is aimed at is printed beside both, and what was missed is said. No figure fails a run; a wrong answer does.
"""

from collections.abc import Sequence

import msgspec


class Target(msgspec.Struct, frozen=True):
    """What is aimed at: of the ratio to the limit, or of the figure itself where it has no limit beside it."""

    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether this is good enough."""
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def words(self, unit: str) -> str:
        """The same for people."""
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{word} {_short(bound)} {unit}" for word, bound in bounds if bound is not None)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the product and, where there is one, of the limit that it is held against."""

    name: str
    unit: str  # "1/s": more is better; "ms", "us", "s", "MB": less is better
    ours: float
    limit_name: str = ""
    limit: float | None = None
    count: int | None = None  # of what was measured, on our side
    seconds: float | None = None  # that it took
    cpu_us: float | None = None  # of our process, per item
    limit_cpu_us: float | None = None
    target: Target | None = None
    about: str = ""  # shown where there is no limit to name
    wrong: str | None = None  # what was lost, doubled or refused: then the figure means nothing

    @property
    def ratio(self) -> float | None:
        """Ours by the limit: 1 is as good as the limit, whatever the unit."""
        return self.ours / self.limit if self.limit else None

    @property
    def verdict(self) -> str:
        """Whether it is what is aimed at; empty where nothing is."""
        if self.wrong:
            return f"WRONG: {self.wrong}"
        if self.target is None:
            return ""
        value = self.ours if self.ratio is None else self.ratio
        return "reached" if self.target.is_met(value) else "MISSED"

    @property
    def aim(self) -> str:
        """The target in words; empty where there is none."""
        return self.target.words(self.unit if self.ratio is None else "x") if self.target else ""


_HEADINGS = (
    "measured",
    "ours",
    "limit",
    "unit",
    "ratio",
    "target",
    "verdict",
    "CPU us",
    "of limit",
    "count",
    "seconds",
    "the limit, or more about it",
)
_LEFT = (0, 5, 6, 11)


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    rows = [_HEADINGS, *map(_cells, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def summary(figures: Sequence[Figure]) -> str:
    """How many targets there are, which were missed, and what was wrong."""
    aimed = [figure for figure in figures if figure.target]
    missed = [figure.name for figure in aimed if figure.verdict == "MISSED"]
    reached = sum(figure.verdict == "reached" for figure in aimed)
    wrong = [f"{figure.name}: {figure.verdict}" for figure in figures if figure.wrong]
    return "\n".join([f"{reached} of {len(aimed)} targets reached.", *(f"MISSED: {name}" for name in missed), *wrong])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [cell.ljust(width) if column in _LEFT else cell.rjust(width) for column, (cell, width) in pairs]


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        _number(figure.ours),
        _number(figure.limit),
        figure.unit,
        _number(figure.ratio, "{:.2f}"),
        figure.aim or "-",
        figure.verdict or "-",
        _number(figure.cpu_us),
        _number(figure.limit_cpu_us),
        _number(figure.count, "{:,}"),
        _number(figure.seconds, "{:.1f}"),
        figure.limit_name or figure.about or "-",
    )


def _number(value: float | None, form: str = "") -> str:
    if value is None:
        return "-"
    if form:
        return form.format(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _short(bound: float) -> str:
    return f"{bound:,.0f}" if bound >= 100 else f"{bound:g}"
