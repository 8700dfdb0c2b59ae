"""A question is asked within what the server allows its user to set, as the server tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from ledger.filtering.statements import Statement
from ledger.store.questions import Question

QUICK = Statement("SELECT 1", {})


@dataclass(frozen=True, slots=True)
class Found:
    result_rows: list[tuple[Any, ...]]


@dataclass(eq=False)
class BoundedServer:
    """The client of a server with these bounds. Counts how often it tells them."""

    most: dict[str, str]
    server_settings: Mapping[str, Any] = field(default_factory=dict)
    told: int = 0
    settings: list[Mapping[str, Any]] = field(default_factory=list)

    def query(self, sql: str, settings: Mapping[str, Any] | None = None, **_: Any) -> Found:
        if "system.settings" in sql:
            self.told += 1
            return Found(list(self.most.items()))
        given = dict(settings or {})
        if float(given["max_execution_time"]) > float(self.most["max_execution_time"]):
            raise DatabaseError("Setting max_execution_time shouldn't be greater.", code=452)
        self.settings.append(given)
        return Found([(1,)])


def test_bounds_are_read_once_and_again_after_they_were_changed() -> None:
    server = BoundedServer({"max_execution_time": "10"})
    ask = Question(QUICK, {"max_execution_time": 20.0})
    for _ in range(3):
        ask(cast(Client, server))
    assert server.told == 1
    server.most["max_execution_time"] = "2.5"
    with pytest.raises(DatabaseError, match="greater"):
        ask(cast(Client, server))
    ask(cast(Client, server))
    assert [settings["max_execution_time"] for settings in server.settings] == ["10"] * 3 + ["2.5"]


def test_what_is_no_number_or_small_enough_stays_as_it_is() -> None:
    server = BoundedServer({"max_execution_time": "10", "overflow": "throw", "mode": "7", "max_rows": "nan"})
    given = {"max_execution_time": 0.25, "overflow": 9, "mode": "break", "max_rows": 5}
    Question(QUICK, given)(cast(Client, server))
    assert server.settings == [given | {"readonly": 1}]
