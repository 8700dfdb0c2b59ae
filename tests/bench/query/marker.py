"""The file that says that a data set is complete, and what it was made from."""

import time
from pathlib import Path

import msgspec

from ledger.store.migrations import available
from tests.bench.query.dataset import DAY_MS, Parameters

_NAME = "complete.json"
_MAX_AGE_DAYS = 7  # it ends "now": the newest month must still be the one that is written to


class Marker(msgspec.Struct, frozen=True):
    """What a data set was made from."""

    parameters: Parameters
    schema: list[str]
    sent: int  # rows, with updates and repeats
    seconds: float  # that the fill took


def write_marker(folder: Path, parameters: Parameters, sent: int, seconds: float) -> None:
    """The fill is done."""
    marker = Marker(parameters, _schema(), sent, seconds)
    (folder / _NAME).write_bytes(msgspec.json.encode(marker))


def read_marker(folder: Path) -> Marker:
    """What the data set in this folder was made from."""
    return msgspec.json.decode((folder / _NAME).read_bytes(), type=Marker)


def is_usable(folder: Path, rows: int) -> bool:
    """Whether the folder holds a complete data set of so many rows, with today's schema and recent times."""
    try:
        marker = read_marker(folder)
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    wanted = Parameters(rows, marker.parameters.last_ms)
    recent = marker.parameters.last_ms > time.time() * 1000 - _MAX_AGE_DAYS * DAY_MS
    return recent and marker.parameters == wanted and marker.schema == _schema()


def _schema() -> list[str]:
    return [f"{version}: {ddl}" for version, ddl in available()]
