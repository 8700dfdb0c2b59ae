"""Questions to a server, one at a time, with the time that each takes."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_ANSWER_SECONDS = 60.0


class Refused(Exception):
    """The answer is not 200, or not what was asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request, wherever it goes."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def raw(self, url: str) -> bytes:
        """As it goes over the wire."""
        headers = (("Host", urlsplit(url).netloc), *self.headers, ("Content-Length", str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


def ask(url: str, question: Question) -> bytes:
    """The answer, over a connection of its own. Raises `Refused` and `OSError`."""
    with _connected(url) as connection:
        return _asked(connection, question)


def timed(url: str, question: Question, times: int, seconds: float) -> list[float]:
    """The milliseconds of asking that often over one connection, or as often as there is time for. Raises `Refused`."""
    taken: list[float] = []
    give_up_at = time.perf_counter() + seconds
    with _connected(url) as connection:
        while len(taken) < times and time.perf_counter() < give_up_at:
            before = time.perf_counter()
            _asked(connection, question)
            taken.append(1000 * (time.perf_counter() - before))
    return taken


@contextmanager
def _connected(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_ANSWER_SECONDS)
    try:
        yield connection
    finally:
        connection.close()


def _asked(connection: http.client.HTTPConnection, question: Question) -> bytes:
    connection.request(question.method, question.path, question.body, dict(question.headers))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise Refused(f"{question.method} {question.path}: {answer.status} {body[:500]!r}")
    return body
