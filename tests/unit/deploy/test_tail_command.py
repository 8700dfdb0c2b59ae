"""What `llmledger tail` does with answers that are no LLM Ledger's, or that mean to harm the terminal."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.commands.tail import tail

HOSTILE = "a\x1b[31mb\u202e"
TAMED = "a\ufffd[31mb\ufffd"


class Other(BaseHTTPRequestHandler):
    """Answers everything with the same bytes."""

    status = 200
    content = b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def answering(status: int, content: bytes) -> Iterator[str]:
    """The address of somebody who says this."""
    handler = type("Saying", (Other,), {"status": status, "content": content})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(status: int, content: bytes) -> str:
    """What the command prints when it has failed."""
    with answering(status, content) as url:
        result = CliRunner().invoke(tail, ["--url", url, "--key", "k"])
    assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.exception
    return result.output


def event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def test_what_the_other_side_says_cannot_change_the_terminal() -> None:
    span = {"count": HOSTILE, "from": HOSTILE, "to": HOSTILE}
    for content in (event("error", {"error": HOSTILE}), event("skipped", span) + event("error", {"error": [HOSTILE]})):
        shown = said(200, content)
        assert not {"\x1b", "\u202e"} & set(shown)
        assert "[31mb" in shown
    for error in (HOSTILE, {"x": HOSTILE}):
        shown = said(400, json.dumps({"error": error}).encode())
        assert not {"\x1b", "\u202e"} & set(shown)
        assert "[31mb" in shown
    assert TAMED in said(400, json.dumps({"error": HOSTILE}).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"event: request\ndata: no JSON\n\n",
        event("request", {"model": "m"}),
        event("request", ["m"]),
        event("skipped", {}),
        event("error", "m"),
        "id: é\nevent: ready\ndata: {}\n\n".encode(),
    ],
)
def test_what_is_no_event_of_a_tail_is_said_and_no_traceback(content: bytes) -> None:
    assert "sent what is no event of a tail" in " ".join(said(200, content).replace("│", " ").split())
