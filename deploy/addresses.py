"""Where a listener is reached, as an address."""

import socket

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where one listens on every interface, and where this machine reaches it."""


def url_from_here(listener: socket.socket) -> str:
    """How this machine reaches it."""
    host, port, *_ = listener.getsockname()
    return _url(WILDCARDS.get(host, host), port)


def url_of(listener: socket.socket) -> str:
    """The address on which it listens."""
    host, port, *_ = listener.getsockname()
    return _url(host, port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
