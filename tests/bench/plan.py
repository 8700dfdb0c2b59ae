"""What one run measures: how long, how much, where. Handed to every part's process as JSON."""

from pathlib import Path

import msgspec

CONNECTIONS = 64


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run, and what it found: the folder and the broker."""

    folder: str  # the part's own; it does not exist yet
    kafka: str | None  # bootstrap servers; None: there is no broker to be had, or none is wanted
    body_bytes: int  # of one report
    seconds: float  # of load per endpoint and round
    rounds: int
    rows: int  # through a worker
    stored: int  # rows that are there already, for the order of growth
    e2e_seconds: float
    e2e_rate: int  # reports per second; 0: as much as it takes
    fresh_seconds: float
    listed: int
    requests: int  # for each page of the list
    listing_seconds: float

    def home(self) -> Path:
        """The part's folder, made."""
        folder = Path(self.folder)
        folder.mkdir(parents=True)
        return folder
