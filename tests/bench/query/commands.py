"""What the bench asks of the process that holds the engine, one line of JSON each way, over its stdin and stdout."""

from typing import TypeAlias

import msgspec


class Plain(msgspec.Struct, frozen=True, tag=True):
    """One way to have an answer by plain SQL, without deduplication: `alone`, then `then` for the keys of `keys`.

    In `then`, `{keys}` stands for the condition on the keys that were found. The answer: milliseconds.
    """

    name: str
    alone: tuple[str, ...] = ()
    keys: str = ""  # finds created_at as text and id
    then: tuple[str, ...] = ()


class Rows(msgspec.Struct, frozen=True, tag=True):
    """Answer with the rows of this statement: texts, numbers, null."""

    sql: str


class Execute(msgspec.Struct, frozen=True, tag=True):
    """Run this statement."""

    sql: str


class Write(msgspec.Struct, frozen=True, tag=True):
    """Insert so many new rows and updates of rows of these batches, through the store adapter.

    No new row comes twice in the life of the process.
    """

    new: int
    updates: tuple[int, ...] = ()  # numbers of batches, one for each row that is updated


class Memory(msgspec.Struct, frozen=True, tag=True):
    """Answer with the highest resident memory in bytes since the last such command."""


Command: TypeAlias = Plain | Rows | Execute | Write | Memory


class Ready(msgspec.Struct, frozen=True):
    """The process's first line: where it serves, and a key that reads the project of the data set."""

    port: int
    key: str
