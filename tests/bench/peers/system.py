"""What the bench wants of a system, whichever it is."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.peers.asking import Question, Refused
from tests.bench.peers.calls import LlmCall

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Page:
    """The first page of the list, newest first, and how to see that it is what it should be."""

    name: str
    question: Question
    row_mark: bytes  # is there once for each row
    shows: tuple[bytes, ...]  # the tokens and the text of a call

    def check(self, body: bytes) -> None:
        """Raises `Refused` for a page that is not full, or does not show what was sent."""
        rows, missing = body.count(self.row_mark), [mark for mark in self.shows if mark not in body]
        if rows != PAGE_ROWS or missing:
            raise Refused(f"{self.question.path} lists {rows} rows, without {missing}: {body[:2000]!r}")


class Server(Protocol):
    """A system that runs on an empty folder."""

    @property
    def url(self) -> str:
        """Where it answers."""

    @property
    def pid(self) -> int:
        """Its first process."""

    @property
    def pages(self) -> Sequence[Page]:
        """The lists that it has."""

    def export(self, calls: Sequence[LlmCall]) -> Question:
        """These calls in one request."""

    def count(self) -> int:
        """How many calls can be queried at this moment, by its own API."""


@dataclass(frozen=True, slots=True)
class System:
    """A ledger that can be started."""

    name: str
    version: str
    running: Callable[[Path], AbstractContextManager[Server]]
