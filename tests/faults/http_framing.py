"""Where an HTTP/1.1 message ends: as much of the protocol as a proxy needs to answer in a server's place."""

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = b"content-length:"


def is_whole(message: bytes) -> bool:
    """Whether the message is complete: a stated length, chunks up to the empty one, or no body at all."""
    head, blank, body = message.partition(_HEAD_ENDS)
    if not blank:
        return False
    lines = [line.strip().lower() for line in head.split(b"\r\n")[1:]]
    if any(line.startswith(b"transfer-encoding:") and line.endswith(b"chunked") for line in lines):
        return _chunks_end(body)
    lengths = [int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH)]
    return len(body) >= (lengths[0] if lengths else 0)


def _chunks_end(body: bytes) -> bool:
    at = 0
    while (line_ends := body.find(b"\r\n", at)) >= 0:
        size = int(body[at:line_ends].split(b";")[0], 16)
        at = line_ends + 2 + size + 2
        if size == 0:
            return len(body) >= at
        if at > len(body):
            return False
    return False
