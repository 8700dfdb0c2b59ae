"""SQL and its values, kept apart: a value is bound by the engine and never becomes a character of the statement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.engine_time import TIME, time_text


@dataclass(frozen=True, slots=True)
class Statement:
    """One question to the store."""

    sql: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class Bound:
    """Collects the values of one statement while its text is put together."""

    values: dict[str, Any] = field(default_factory=dict)

    def value(self, value: object, type_: str) -> str:
        """The placeholder that stands for this value; `type_` is one of our own words, never a caller's."""
        name = f"p{len(self.values) + 1}"
        self.values[name] = value
        return f"{{{name}:{type_}}}"

    def time(self, ms: int) -> str:
        """The placeholder of an instant, given in milliseconds since 1970."""
        return self.value(time_text(ms), TIME)

    def statement(self, sql: str) -> Statement:
        """The finished statement."""
        return Statement(sql, dict(self.values))
