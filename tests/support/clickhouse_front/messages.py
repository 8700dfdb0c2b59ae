"""An HTTP request, as bytes and headers, becomes one Request: the statement, its parameters and its settings.

Every URL parameter that the interface does not keep for itself is a setting, so a misspelt name fails in the engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from io import BufferedIOBase
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from tests.support.clickhouse_front.compression import decoded
from tests.support.clickhouse_front.errors import NOT_IMPLEMENTED, refused

# Sessions, roles, buffering and accounts mean nothing here; the rest of the names are read below.
_RESERVED = (
    frozenset({"query", "database", "default_format", "query_id", "user", "password", "quota_key", "role"})
    | frozenset({"session_id", "session_timeout", "session_check", "close_session", "stacktrace", "buffer_size"})
    | frozenset({"wait_end_of_query", "compress", "decompress", "client_protocol_version"})
)


class BrokenRequestError(Exception):
    """The body ended early or its framing is wrong: nothing of it may run, and the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Request:
    """One statement as it was asked for; `sql` may end in the rows of an INSERT."""

    sql: bytes
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    default_format: str
    query_id: str


def request_from(target: str, headers: Message, body: bytes, *, may_write: bool) -> Request:
    """The statement that the request asks for. The SQL is the `query` parameter, a line break, and the body."""
    named = _url_values(target)
    if headers.get_content_type() == "multipart/form-data":
        named |= _form_values(body, str(headers.get_param("boundary", "")))
        body = b""
    else:
        body = decoded(body, headers.get("Content-Encoding", ""))
    settings = {name: value for name, value in named.items() if not (name in _RESERVED or name.startswith("param_"))}
    if not may_write:
        settings.setdefault("readonly", "2")
    return Request(
        sql=b"\n".join(part for part in (named.get("query", "").encode(), body) if part),
        parameters={name[6:]: value for name, value in named.items() if name.startswith("param_")},
        settings=settings,
        database=named.get("database") or str(headers.get("X-ClickHouse-Database", "default")),
        default_format=named.get("default_format") or str(headers.get("X-ClickHouse-Format", "TabSeparated")),
        query_id=named.get("query_id") or str(uuid4()),
    )


def read_body(stream: BufferedIOBase, headers: Message) -> bytes:
    """The whole body, chunked or of a stated length; a body cut short raises, so half an insert never runs."""
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return _read_chunks(stream)
    length = headers.get("Content-Length", "0")
    if not length.isdecimal():
        raise BrokenRequestError(f"not a length: {length!r}")
    return _read_exactly(stream, int(length))


def _read_chunks(stream: BufferedIOBase) -> bytes:
    chunks: list[bytes] = []
    while size := _chunk_size(stream.readline()):
        chunks.append(_read_exactly(stream, size))
        _read_exactly(stream, 2)
    while stream.readline().strip():
        pass  # trailers mean nothing here
    return b"".join(chunks)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError as error:
        raise BrokenRequestError(f"not a chunk's size: {line!r}") from error


def _read_exactly(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise BrokenRequestError(f"the body ended after {len(data)} of {size} bytes")
    return data


def _form_values(body: bytes, boundary: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        disposition = Message()
        disposition["Content-Disposition"] = _disposition(head)
        if disposition.get_filename() is not None:
            raise refused(NOT_IMPLEMENTED, "External tables are not supported by this front. (NOT_IMPLEMENTED)")
        values[str(disposition.get_param("name", header="Content-Disposition"))] = _text(value)
    return values


def _url_values(target: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise BrokenRequestError(f"the URL is not UTF-8: {error}") from error


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BrokenRequestError(f"a form value is not UTF-8: {error}") from error


def _disposition(head: bytes) -> str:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return next(value.decode().strip() for name, _, value in lines if name.lower() == b"content-disposition")
