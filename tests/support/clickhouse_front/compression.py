"""Content codings of requests and answers. A body may be several frames behind one another: one frame a block."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cramjam

from tests.support.clickhouse_front.errors import NOT_IMPLEMENTED, refused


@dataclass(frozen=True, slots=True)
class Coding:
    """One content coding; `decoding_failed` is the code that a server gives for a body that is not of it."""

    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    decoding_failed: int


# Most preferred first, as a server chooses among those that a client accepts.
CODINGS: Mapping[str, Coding] = {
    "zstd": Coding(
        lambda data: bytes(cramjam.zstd.compress(data)), lambda data: bytes(cramjam.zstd.decompress(data)), 561
    ),
    "lz4": Coding(
        lambda data: bytes(cramjam.lz4.compress(data)), lambda data: bytes(cramjam.lz4.decompress(data)), 607
    ),
    "gzip": Coding(lambda data: gzip.compress(data, 1), gzip.decompress, 354),
    "deflate": Coding(lambda data: zlib.compress(data, 1), zlib.decompress, 354),
}


def decoded(body: bytes, coding: str) -> bytes:
    """The body without its content coding; a coding unknown here or a damaged body is a StatementError."""
    if coding in ("", "identity"):
        return body
    if coding not in CODINGS:
        raise refused(NOT_IMPLEMENTED, f"Unknown compression method: {coding}. (NOT_IMPLEMENTED)")
    try:
        return CODINGS[coding].decode(body)
    except (cramjam.DecompressionError, OSError, EOFError, zlib.error) as error:
        raise refused(CODINGS[coding].decoding_failed, f"The {coding} body cannot be decompressed: {error}") from error


def chosen(accepted: str) -> str | None:
    """The coding for an answer, from the Accept-Encoding header; None for none."""
    offered = {offer.split(";")[0].strip() for offer in accepted.split(",")}
    return next((name for name in CODINGS if name in offered), None)
