"""What counts and statistics must be, said a second time in plain Python over lists of rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ledger.request_log import RequestLog

RELATIVE_ERROR = 0.004
TOKENS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "reasoning_tokens")
GETTERS: Mapping[str, Callable[[RequestLog], Any]] = {
    "model": lambda log: log.model_requested,
    "provider": lambda log: log.provider,
    "user": lambda log: log.user_id,
    "project": lambda log: log.project,
    "status": lambda log: log.status_code,
    "source": lambda log: log.source,
    "environment": lambda log: log.environment,
    "session": lambda log: log.session_id,
    "streamed": lambda log: log.streamed,
    "cached": lambda log: log.cached,
    "finish_reason": lambda log: log.finish_reason,
    "metadata.env": lambda log: dict(log.metadata).get("env"),
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number of each of some calls, as far as it is known."""

    values: Sequence[float]

    def agrees(self, shown: Mapping[str, Any]) -> bool:
        """Whether what is shown of them is right: percentiles nearly, the rest exactly (to what is shown)."""
        if shown["known"] != len(self.values):
            return False
        if not self.values:
            return all(shown[name] is None for name in ("avg", "max", "p50", "p90", "p95", "p99"))
        average = sum(round(value * 1000) for value in self.values) / 1000 / len(self.values)
        exact = abs(shown["avg"] - average) <= 0.001 + average * 1e-12 and shown["max"] == round(max(self.values), 3)
        return exact and all(self._is_near(shown[f"p{percent}"], percent) for percent in (50, 90, 95, 99))

    def _is_near(self, shown: float, percent: int) -> bool:
        ranked = sorted(self.values)
        wanted = ranked[max(1, -(-len(ranked) * percent // 100)) - 1]
        return abs(shown - wanted) <= wanted * RELATIVE_ERROR + 0.001


def disagreement(shown: Mapping[str, Any], logs: Sequence[RequestLog]) -> str:
    """What of the measures that are shown is not as these calls say; '' when all is."""
    costs = [log.cost for log in logs if log.cost is not None]
    wanted: dict[str, Any] = {
        "requests": len(logs),
        "errors": sum(log.is_error for log in logs),
        "unpriced": len(logs) - len(costs),
    }
    wrong = [f"{name}: {shown[name]} is not {value}" for name, value in wanted.items() if shown[name] != value]
    for name in TOKENS:
        known = [value for log in logs if (value := getattr(log, name)) is not None]
        if shown[name] != {"total": sum(known) if known or not logs else None, "known": len(known)}:
            wrong.append(f"{name}: {shown[name]} of {known}")
    cost = None if shown["cost"] is None else Decimal(shown["cost"]).scaleb(12)
    if cost != (sum(costs) if costs or not logs else None):
        wrong.append(f"cost: {shown['cost']} of {costs}")
    for name, column in (("latency_ms", "duration_ms"), ("ttft_ms", "ttft_ms")):
        values = [value for log in logs if (value := getattr(log, column)) is not None]
        if not Numbers(values).agrees(shown[name]):
            wrong.append(f"{name}: {shown[name]} of {sorted(values)}")
    return "; ".join(wrong)


def grouped(logs: Iterable[RequestLog], names: Sequence[str]) -> dict[tuple[Any, ...], list[RequestLog]]:
    """The calls by these dimensions."""
    found: dict[tuple[Any, ...], list[RequestLog]] = {}
    for log in logs:
        found.setdefault(tuple(GETTERS[name](log) for name in names), []).append(log)
    return found


def counted(logs: Iterable[RequestLog], name: str) -> Counter[Any]:
    """How many calls have each value."""
    return Counter(GETTERS[name](log) for log in logs)
