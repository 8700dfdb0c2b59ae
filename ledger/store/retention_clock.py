"""Can the clock be believed when it says that much is too old? Functions of a client.

What a wrong clock hides is shown again once it is right; what was deleted is not. So a clock that is days ahead of the
last deletion, or of the newest rows before the first one, is doubted, and the doubt is noted among the runs. It is
believed when it has gone on for a day since, as a clock does: across restarts, and without a word from anybody.
"""

from dataclasses import dataclass

from clickhouse_connect.driver import Client

from ledger.clock import from_milliseconds
from ledger.filtering.statements import Bound
from ledger.retention import DAY_MS
from ledger.store.retention import Run, latest_run

LEAP_DAYS = 3
"""A clock that is ahead by no more is believed at once."""

BELIEVED_AFTER_MS = DAY_MS

_ROWS_COUNT_AFTER_MS = 3600 * 1000  # younger rows may have been stored by this very clock

_WORDS = "The clock leapt"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why nothing is deleted at this time. Milliseconds since 1970."""

    last_known: int  # what the clock is compared with
    noted_at: int | None  # None: it is new

    def words(self, now: int) -> str:
        """What the run says that is not done."""
        last = from_milliseconds(self.last_known)
        return f"{_WORDS} from {last:%Y-%m-%d %H:%M} to {from_milliseconds(now):%Y-%m-%d %H:%M} UTC."


def is_doubt(run: Run) -> bool:
    """Whether this notes a doubt."""
    return run.error.startswith(_WORDS)


def doubt_of(client: Client, now: int) -> Doubt | None:
    """Whether this time is to be doubted; None where it can be believed."""
    last = _last_known(client, now)
    if last is None or now - last <= LEAP_DAYS * DAY_MS:
        return None
    noted = _last_noted(client)
    if noted is None or not 0 <= now - noted <= LEAP_DAYS * DAY_MS:
        return Doubt(last, None)  # none yet, or the clock has leapt again
    return Doubt(last, noted) if now - noted < BELIEVED_AFTER_MS else None


def _last_known(client: Client, now: int) -> int | None:
    """The last time that was believed; before there was any, when the newest row was stored."""
    run = latest_run(client, finished=True)
    if run:
        return run.finished_at
    bound = Bound()
    where = f"ingested_at < {bound.time(now - _ROWS_COUNT_AFTER_MS)}"
    sql = f"SELECT toUnixTimestamp64Milli(maxOrNull(ingested_at)) FROM request_logs WHERE {where}"
    newest: int | None = client.query(sql, parameters=bound.values).result_rows[0][0]
    return newest


def _last_noted(client: Client) -> int | None:
    sql = (
        "SELECT toUnixTimestamp64Milli(written_at) FROM retention_runs FINAL WHERE startsWith(error, {words:String})"
        " ORDER BY begun_at DESC LIMIT 1"
    )
    found = client.query(sql, parameters={"words": _WORDS}).result_rows
    return int(found[0][0]) if found else None
