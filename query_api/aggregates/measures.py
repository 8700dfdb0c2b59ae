"""What is measured of a group of rows, as SQL. Every number is whole: money in pico-USD, latency in microseconds.

A sum is added over units; of a peak the largest counts (the smallest of a number is kept as the largest of its
complement); one number may have a histogram, from which percentiles are read.
"""

from dataclasses import dataclass

from query_api.aggregates.partials import NEVER, Widths
from query_api.aggregates.percentiles import bin_of


@dataclass(frozen=True, slots=True)
class Sum:
    """A number that is added. A wide one may pass 64 bits and comes as two columns."""

    sql: str
    wide: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """As it stands alone."""
        return self.over(self.sql)

    def over(self, total: str) -> tuple[str, ...]:
        """The columns of a total."""
        if not self.wide:
            return (f"toInt64({total})",)
        return (f"toInt64(bitShiftRight({total}, 32))", f"toInt64(bitAnd({total}, 4294967295))")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a statement answers of each group."""

    sums: tuple[Sum, ...]
    peaks: tuple[str, ...] = ()
    histogram: str | None = None  # the column whose numbers are put into bins

    def widths(self, key: int) -> Widths:
        """How many columns of each sort there are."""
        columns = sum(2 if item.wide else 1 for item in self.sums)
        return Widths(key, columns, len(self.peaks), self.histogram is not None)


def known(column: str) -> Sum:
    """In how many rows there is a number."""
    return Sum(f"count({column})")


def total(column: str) -> Sum:
    """The sum of the numbers that there are."""
    return Sum(f"sum(ifNull(toInt128({column}), 0))", wide=True)


def largest(number: str) -> str:
    """The largest of a number; `NEVER` without any."""
    return f"ifNull(max(toInt64({number})), toInt64('{NEVER}'))"


def smallest(number: str) -> str:
    """The smallest, as the largest complement."""
    return largest(f"bitNot(toInt64({number}))")


MICROSECONDS = "round(duration_ms * 1000)"
CREATED = "toUnixTimestamp64Milli(created_at)"
DURATION_BITS = "if(isNull(duration_ms), NULL, reinterpretAsInt64(assumeNotNull(duration_ms)))"
"""Doubles that are not negative are in the order of their bits."""

TOKENS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "reasoning_tokens")

COUNT = Measure((Sum("count()"),))
OUTCOMES = Measure((Sum("count()"), Sum("countIf(is_error)")))
STATISTICS = Measure(
    (
        Sum("count()"),
        Sum("countIf(is_error)"),
        *(item for name in (*TOKENS, "cost", MICROSECONDS) for item in (known(name), total(name))),
    ),
    (largest(DURATION_BITS),),
    histogram="duration_ms",
)
FIRST_TOKEN = Measure((known("ttft_ms"), total("ttft_ms")), (largest("ttft_ms"),), histogram="ttft_ms")
UNPRICED = Measure(
    (Sum("count()"), *(item for name in TOKENS[:3] for item in (known(name), total(name)))),
    (smallest(CREATED), largest(CREATED)),
)
RANGED = {"latency_ms": DURATION_BITS, "cost": "cost", "total_tokens": "total_tokens", "ttft_ms": "ttft_ms"}
RANGES = Measure(
    (Sum("count()"),), tuple(peak for number in RANGED.values() for peak in (smallest(number), largest(number)))
)


def bins(measure: Measure) -> str:
    """The bin of each row's number."""
    return bin_of(measure.histogram) if measure.histogram else "0"
