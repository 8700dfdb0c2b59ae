"""What the list must answer, said a second time in plain Python over lists of rows. No code of the service is used."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ledger.request_log import Bodies, RequestLog

PICO = Decimal(10) ** 12
OPPOSITES = {
    "!=": "=",
    "doesNotContain": "contains",
    "doesNotBeginWith": "beginsWith",
    "doesNotEndWith": "endsWith",
    "notIn": "in",
    "notBetween": "between",
}
GETTERS: Mapping[str, Callable[[RequestLog], Any]] = {
    "id": lambda log: log.id,
    "createdAt": lambda log: log.created_at,
    "updatedAt": lambda log: log.updated_at,
    "ip": lambda log: log.http_ip or "",
    "url": lambda log: log.http_url or "",
    "method": lambda log: log.http_method or "POST",
    "status": lambda log: log.status_code,
    "cached": lambda log: log.cached,
    "streamed": lambda log: log.streamed,
    "user_id": lambda log: log.user_id,
    "model": lambda log: log.model_requested,
    "openai_id": lambda log: log.provider_response_id or "",
    "prompt_tokens": lambda log: log.input_tokens,
    "completion_tokens": lambda log: log.output_tokens,
    "tokens": lambda log: log.total_tokens,
    "cost": lambda log: None if log.cost is None else Decimal(log.cost) / PICO,
    "duration": lambda log: log.duration_ms,
    "completion": lambda log: bodies_of(log).completion,
}
SORTS: Mapping[str, Callable[[RequestLog], Any]] = {
    **{name: GETTERS[name] for name in ("id", "createdAt", "updatedAt", "method", "status", "cached")},
    **{name: GETTERS[name] for name in ("duration", "cost", "tokens")},
    "ip": lambda log: log.http_ip,
    "url": lambda log: log.http_url,
}


def bodies_of(log: RequestLog) -> Bodies:
    assert log.bodies is not None
    return log.bodies


@dataclass(frozen=True, slots=True)
class Asked:
    """The conditions and the order of a documented list."""

    user_id: str | None = None
    search: str | None = None
    filter: Mapping[str, Any] | None = None
    sort_by: str = "createdAt"
    ascending: bool = False

    def query(self) -> dict[str, str]:
        """The same as query parameters."""
        given = {"user_id": self.user_id, "search": self.search, "sortBy": self.sort_by}
        given["filter"] = json.dumps(self.filter) if self.filter is not None else None
        given["sortOrder"] = "asc" if self.ascending else "desc"
        return {name: value for name, value in given.items() if value is not None}


def current(logs: Iterable[RequestLog]) -> list[RequestLog]:
    """The highest version of each key, without the deleted."""
    newest: dict[Any, RequestLog] = {}
    for log in logs:
        if log.key not in newest or log.version > newest[log.key].version:
            newest[log.key] = log
    return [log for log in newest.values() if not log.is_deleted]


def expected(logs: Iterable[RequestLog], asked: Asked) -> list[RequestLog]:
    """All rows that fulfil the conditions, in the order asked for."""
    found = [log for log in current(logs) if fulfils(log, asked)]
    value = SORTS[asked.sort_by]
    known = sorted((log for log in found if value(log) is not None), key=lambda log: (value(log), log.id, log.project))
    unknown = sorted((log for log in found if value(log) is None), key=lambda log: (log.id, log.project))
    if not asked.ascending:
        known.reverse()
        unknown.reverse()
    return known + unknown


def fulfils(log: RequestLog, asked: Asked) -> bool:
    if asked.user_id and log.user_id != asked.user_id:
        return False
    if asked.search and not any(asked.search.lower() in text.lower() for text in _searched(log)):
        return False
    return not asked.filter or holds(log, asked.filter)


def holds(log: RequestLog, rule: Mapping[str, Any]) -> bool:
    """A group or a rule, as they stand in the filter's JSON."""
    if "rules" not in rule:
        return _rule_holds(log, rule["field"], rule["operator"], rule.get("value"))
    said = [part for part in rule["rules"] if _says_something(part)]
    if not said:
        return True
    outcomes = [holds(log, part) for part in said]
    outcome = any(outcomes) if rule["combinator"] == "or" else all(outcomes)
    return outcome is not rule.get("not", False)


def _says_something(rule: Mapping[str, Any]) -> bool:
    return "rules" not in rule or any(_says_something(part) for part in rule["rules"])


def _searched(log: RequestLog) -> Sequence[str]:
    bodies = bodies_of(log)
    return [text for text in (bodies.prompt, bodies.completion, log.provider_response_id) if text is not None]


def _rule_holds(log: RequestLog, field: str, operator: str, value: Any) -> bool:
    header = field not in GETTERS
    actual = _header(log, field) if header else GETTERS[field](log)
    if operator in ("null", "notNull"):
        return (actual is None) is (operator == "null")
    if actual is None:
        return False
    positive = OPPOSITES.get(operator, operator)
    if header and positive == "=":
        positive = "contains"
    return _compares(actual, positive, value) is (operator not in OPPOSITES)


def _header(log: RequestLog, field: str) -> str | None:
    if field.startswith("x-metadata-"):
        return dict(log.metadata).get(field.removeprefix("x-metadata-"))
    try:
        headers = json.loads(bodies_of(log).request_headers or "{}")
    except json.JSONDecodeError:
        return None
    return {name.lower(): text for name, text in headers.items()}.get(field.lower())


def _compares(actual: Any, operator: str, value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    if isinstance(value, str) and operator in ("in", "between"):
        items = value.split(",")
    others = [_alike(actual, item) for item in items]
    comparisons: Mapping[str, Callable[[], bool]] = {
        "=": lambda: actual == others[0],
        "<": lambda: actual < others[0],
        "<=": lambda: actual <= others[0],
        ">": lambda: actual > others[0],
        ">=": lambda: actual >= others[0],
        "contains": lambda: others[0] in actual,
        "beginsWith": lambda: actual.startswith(others[0]),
        "endsWith": lambda: actual.endswith(others[0]),
        "in": lambda: actual in others,
        "between": lambda: others[0] <= actual <= others[1],
    }
    return comparisons[operator]()


def _alike(actual: Any, value: Any) -> Any:
    """The filter's value as the type of the row's."""
    if isinstance(actual, bool):
        return value if isinstance(value, bool) else {"true": True, "false": False}[value]
    if isinstance(actual, float):
        return float(value)
    if isinstance(actual, int | Decimal):
        return Decimal(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
