"""The schema's way forward: numbered SQL files, applied once each, in order, never edited after a release.

`migrate` is a workflow without I/O: it yields steps and is sent the answers; `drive` runs it against a client, and
`missing` runs only its first step.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from clickhouse_connect.driver import Client


@dataclass(frozen=True, slots=True)
class Fetch:
    """Answer me with the rows of this query."""

    sql: str


@dataclass(frozen=True, slots=True)
class Execute:
    """Run this statement."""

    sql: str


Migration = tuple[int, str]
Workflow = Generator[Fetch | Execute, Sequence[Sequence[Any]], list[int]]

SCHEMA_VERSION_TABLE = """CREATE TABLE IF NOT EXISTS schema_version (version UInt32, applied_at DateTime DEFAULT now())
ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"""


def available() -> list[Migration]:
    """The migrations that this program carries, in order."""
    folder = files("ledger.store").joinpath("schema")
    return sorted(
        (int(entry.name.split("_")[0]), entry.read_text()) for entry in folder.iterdir() if entry.name.endswith(".sql")
    )


def migrate(migrations: Sequence[Migration]) -> Workflow:
    """Apply what is missing; the result is the list of the versions that were applied."""
    yield Execute(SCHEMA_VERSION_TABLE)
    missing = yield from _missing(migrations)
    for version, ddl in missing:
        yield Execute(_repeatable(ddl))  # a crash before the next line repeats it
        yield Execute(f"INSERT INTO schema_version (version) VALUES ({version:d})")
    return [version for version, _ in missing]


def check(migrations: Sequence[Migration]) -> Workflow:
    """Change nothing; the result is the list of the versions that are missing."""
    exists = yield Fetch("EXISTS TABLE schema_version")
    if not exists[0][0]:
        return [version for version, _ in migrations]
    missing = yield from _missing(migrations)
    return [version for version, _ in missing]


def _missing(migrations: Sequence[Migration]) -> Generator[Fetch, Sequence[Sequence[Any]], list[Migration]]:
    applied = {version for (version,) in (yield Fetch("SELECT version FROM schema_version"))}
    return [(version, ddl) for version, ddl in sorted(migrations) if version not in applied]


def _repeatable(ddl: str) -> str:
    return ddl.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1)


def drive(workflow: Workflow, client: Client) -> list[int]:
    """Run the workflow's steps on this client and return its result."""
    answer: Sequence[Sequence[Any]] = ()
    try:
        step = next(workflow)
        while True:
            if isinstance(step, Fetch):
                answer = client.query(step.sql).result_rows
            else:
                client.command(step.sql)
                answer = ()
            step = workflow.send(answer)
    except StopIteration as done:
        return list(done.value)
