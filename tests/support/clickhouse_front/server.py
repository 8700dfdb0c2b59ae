"""The HTTP side: one thread a connection, one answer a request; what went wrong is told by code, as ClickHouse does."""

import json
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.clickhouse_front.compression import CODINGS, chosen
from tests.support.clickhouse_front.engine import Answer, Engine
from tests.support.clickhouse_front.errors import StatementError
from tests.support.clickhouse_front.messages import BrokenRequestError, Request, read_body, request_from

_PLAIN = {"Content-Type": "text/plain; charset=UTF-8"}


class FrontServer(ThreadingHTTPServer):
    """Listens as soon as it is made; port 0 takes a free one. The engine opens after the port is had."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, folder: Path) -> None:
        super().__init__((host, port), FrontRequestHandler)
        self.engine = Engine(folder)

    @property
    def dsn(self) -> str:
        """The address as clickhouse-connect takes it."""
        return f"http://default:@{self.server_address[0]!s}:{self.server_port}/default"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is its own affair; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FrontRequestHandler(BaseHTTPRequestHandler):
    """One connection, kept open between requests."""

    server: FrontServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for the client's acknowledgement
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        if self.path in ("/", "/ping", "/replicas_status"):
            self._send(HTTPStatus.OK, b"Ok.\n", _PLAIN)
        else:
            self._statement(may_write=False)

    def do_POST(self) -> None:
        self._statement(may_write=True)

    def log_message(self, format: str, *args: object) -> None:
        """A line a request would drown the tests' output."""

    def _statement(self, *, may_write: bool) -> None:
        try:
            body = read_body(self.rfile, self.headers)
            request = request_from(self.path, self.headers, body, may_write=may_write)
            answer = self.server.engine.run(request)
        except BrokenRequestError as error:
            self.close_connection = True
            self._send(HTTPStatus.BAD_REQUEST, f"{error}\n".encode(), _PLAIN)
        except StatementError as error:
            code = {} if error.code is None else {"X-ClickHouse-Exception-Code": str(error.code)}
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n".encode(), _PLAIN | code)
        else:
            self._send_answer(request, answer)

    def _send_answer(self, request: Request, answer: Answer) -> None:
        headers = {
            "X-ClickHouse-Timezone": answer.timezone,
            "X-ClickHouse-Query-Id": request.query_id,
            "X-ClickHouse-Summary": json.dumps(answer.summary),
        }
        if answer.format_name:
            headers["X-ClickHouse-Format"] = answer.format_name
        body = answer.body
        coding = chosen(self.headers.get("Accept-Encoding", ""))
        if body and coding and request.settings.get("enable_http_compression") in ("1", "true"):
            headers["Content-Encoding"] = coding
            body = CODINGS[coding].encode(body)
        self._send(HTTPStatus.OK, body, headers)

    def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
