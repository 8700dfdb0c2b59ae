"""The proxy does to a connection what it is told, and nothing to the others."""

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.proxy import HALF_CLOSE, PASS, REFUSE, RESET, STALL, Link, cut, http_answer, latency, running_link

_PATIENCE_SECONDS = 10.0


class _Echo(BaseHTTPRequestHandler):
    """Says back what it got, and remembers it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.got: list[bytes] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that was reset is what these tests are about."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def link(server: _Server) -> Iterator[Link]:
    with running_link(server.server_port) as link:
        yield link


def connection(link: Link) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", link.port, timeout=_PATIENCE_SECONDS)


def asked(talk: http.client.HTTPConnection, body: bytes, path: str = "/") -> bytes:
    talk.request("POST", path, body)
    return talk.getresponse().read()


def receive_all(client: socket.socket, into: bytearray) -> None:
    while piece := client.recv(4096):
        into += piece


def said_back(link: Link, body: bytes, path: str = "/") -> bytes:
    talk = connection(link)
    try:
        return asked(talk, body, path)
    finally:
        talk.close()


def test_what_passes_is_unchanged_also_when_it_is_large(link: Link) -> None:
    large = bytes(range(256)) * 4096 * 4
    assert said_back(link, large) == large
    assert (link.hurt, link.broken) == (0, 0)


def test_one_connection_serves_many_requests(link: Link, server: _Server) -> None:
    talk = connection(link)
    for number in range(5):
        assert asked(talk, b"%d" % number) == b"%d" % number
    talk.close()
    assert server.got == [b"0", b"1", b"2", b"3", b"4"]


def test_what_is_late_arrives(link: Link) -> None:
    link.behave(latency(0.01))
    assert said_back(link, b"late") == b"late"


def test_what_was_held_goes_on_when_the_stall_is_over(link: Link, server: _Server) -> None:
    talk = connection(link)
    assert asked(talk, b"before") == b"before"
    link.behave(STALL)
    with ThreadPoolExecutor() as pool:
        talk.request("POST", "/", b"held")
        new = pool.submit(said_back, link, b"new")
        with pytest.raises(TimeoutError):
            new.result(0.1)
        assert server.got == [b"before"]
        link.behave(PASS)
        assert talk.getresponse().read() == b"held"
        assert new.result(_PATIENCE_SECONDS) == b"new"
    talk.close()


def test_a_reset_ends_open_connections_and_new_ones(link: Link) -> None:
    talk = connection(link)
    assert asked(talk, b"before") == b"before"
    link.behave(RESET)
    for again in (talk, connection(link)):
        with pytest.raises(ConnectionError):
            asked(again, b"lost")
        again.close()
    link.behave(PASS)
    assert said_back(link, b"after") == b"after"
    assert link.hurt == 2


def test_a_link_that_refuses_listens_again_on_the_same_port(link: Link) -> None:
    port = link.port
    link.behave(REFUSE)
    with pytest.raises(ConnectionRefusedError):
        said_back(link, b"refused")
    link.behave(PASS)
    assert said_back(link, b"after") == b"after"
    assert link.port == port


def test_a_half_closed_connection_ends_instead_of_answering(link: Link, server: _Server) -> None:
    link.behave(HALF_CLOSE)
    with pytest.raises(http.client.RemoteDisconnected):
        said_back(link, b"done")
    assert server.got == [b"done"]


@pytest.mark.parametrize("keep", [0, 9, 15])
def test_an_answer_that_is_cut_was_carried_out(link: Link, server: _Server, keep: int) -> None:
    link.behave(cut(keep))
    received = bytearray()
    with socket.create_connection(("127.0.0.1", link.port), timeout=_PATIENCE_SECONDS) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\ndone")
        with pytest.raises(ConnectionResetError):
            receive_all(client, received)
    assert bytes(received) == b"HTTP/1.1 200 OK"[:keep]
    assert server.got == [b"done"]
    assert link.hurt == 1


def test_only_the_named_requests_are_cut_and_only_so_often(link: Link, server: _Server) -> None:
    link.behave(cut(0, only=b"/insert", times=2))
    assert said_back(link, b"1", "/select") == b"1"
    for number in (b"2", b"3"):
        with pytest.raises(ConnectionError):
            said_back(link, number, "/insert")
    assert said_back(link, b"4", "/insert") == b"4"
    assert server.got == [b"1", b"2", b"3", b"4"]
    assert link.behaviour == PASS


def test_an_answer_of_the_proxys_own_never_reaches_the_server(link: Link, server: _Server) -> None:
    link.behave(http_answer(503, b"too many parts", "X-Code: 252", only=b"/insert"))
    talk = connection(link)
    assert asked(talk, b"1", "/select") == b"1"
    talk.request("POST", "/insert", b"x" * 300_000)
    answer = talk.getresponse()
    assert (answer.status, answer.headers["X-Code"], answer.read()) == (503, "252", b"too many parts")
    talk.close()
    assert server.got == [b"1"]


def test_a_chunked_request_is_answered_once_it_is_whole(link: Link, server: _Server) -> None:
    link.behave(http_answer(500, b"no"))
    talk = connection(link)
    talk.request("POST", "/", iter([b"a" * 1000, b"b" * 70_000]), encode_chunked=True)
    assert talk.getresponse().read() == b"no"
    talk.close()
    assert server.got == []


def test_without_a_server_the_client_is_reset(link: Link, server: _Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError):
        said_back(link, b"nobody")
    assert link.broken == 1
