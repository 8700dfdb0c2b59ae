"""The endpoints of the ingest service and a valid body for each: which of them write, which keep nothing."""

from collections.abc import Callable
from typing import Any

from tests.unit.ingest_api.service import a_pezzo_report

Sent = Callable[[str], Any]  # from the id of a stored record to a body

WRITING: dict[str, Sent] = {
    "report": lambda _: {"reqPayload": {"model": "m"}},
    "report-anthropic": lambda _: {"reqPayload": {"model": "m"}},
    "reporting/v2/request": lambda _: a_pezzo_report(),
    "logs/insert": lambda _: {"model": "m"},
    "logs/update": lambda id_: {"id": id_, "update_data": {"cost": 1}},
}
KEEPING_NOTHING: dict[str, Sent] = {
    "check-cache": lambda _: {"requestedAt": 1},
    "cache/v1/request/retrieve": lambda _: {"request": {}},
    "cache/v1/request/save": lambda _: {"request": {}, "response": {}},
}
BATCHES: dict[str, Sent] = {
    "reports": lambda id_: [
        {"kind": "openpipe.report", "body": {"reqPayload": {"model": "m"}}},
        {"kind": "log.update", "body": {"id": id_, "update_data": {"cost": 1}}},
    ],
}
"""They write too; their items tell where each is, and have keys of their own."""

ENDPOINTS = WRITING | KEEPING_NOTHING | BATCHES


def paths(name: str) -> list[str]:
    """Where an endpoint is served."""
    if name in BATCHES:
        return [f"/api/v1/{name}"]
    prefix = "/api/v1/" if name in {"report", "report-anthropic", "check-cache"} else "/api/"
    return [f"{prefix}{name}", f"/{name}"]
