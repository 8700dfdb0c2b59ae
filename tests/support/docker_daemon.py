"""Does a Docker daemon answer? A `docker` program on the path proves nothing: only the daemon's own ping does."""

import os
import socket
from urllib.parse import urlsplit

from testcontainers.core.docker_client import get_docker_host

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_PING_SECONDS = 5.0


def docker_answers(host: str | None = None) -> bool:
    """Whether the daemon at `host`, else the one that testcontainers would use, answers its ping.

    An address that only the SDK can speak to (ssh, TLS, a named pipe) was set by somebody and is taken at its word:
    starting a container there fails loudly when the daemon is away.
    """
    address = urlsplit(host or get_docker_host() or _DEFAULT_HOST)
    if address.scheme not in ("unix", "tcp", "http") or os.environ.get("DOCKER_TLS_VERIFY"):
        return True
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_PING_SECONDS)
                connection.connect(address.path)
                return _pinged(connection)
        with socket.create_connection(
            (address.hostname or "localhost", address.port or 2375), _PING_SECONDS
        ) as connection:
            return _pinged(connection)
    except OSError:
        return False  # nobody listens there, which is the answer to the question


def _pinged(connection: socket.socket) -> bool:
    connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    return b" 200 " in connection.recv(1024).split(b"\r\n")[0]
