"""Content-Encoding: one layer of gzip or zstd, inflated under caps: a bomb is refused before it has grown.

It is inflated a little at a time, and whoever counts memory is told of each part before the next one is made.
"""

import zlib
from collections.abc import Callable, Iterator

import zstandard

from ledger.errors import Invalid, TooLarge, UnsupportedEncoding

MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
RATIO_COUNTS_ABOVE_BYTES = 1024 * 1024
"""Less than this may be packed as well as it can: a short text of one letter is no bomb."""

_LONGEST_NAME = 20
_GZIP_INPUT_BYTES = 64 * 1024
_GZIP_OUTPUT_BYTES = 256 * 1024
_ZSTD_INPUT_BYTES = 128  # at most so many blocks of 128 KiB, at four bytes each


def normal_encoding(header: str | None) -> str | None:
    """The encoding that a Content-Encoding header names: gzip, zstd or None. Raises `UnsupportedEncoding`."""
    name = (header or "identity").strip().lower()
    if name in {"identity", ""}:
        return None
    if name in {"gzip", "x-gzip"}:
        return "gzip"
    if name == "zstd":
        return "zstd"
    shown = f" {name!r}" if len(name) <= _LONGEST_NAME else ""  # what is no name is not repeated: it may be anything
    raise UnsupportedEncoding(f"The content encoding{shown} is not supported: use gzip, zstd or none.")


def _uncounted(_: int) -> None:
    """Nobody counts."""


def inflate(
    body: bytes,
    encoding: str | None,
    max_bytes: int,
    *,
    max_ratio: int | None = None,
    count: Callable[[int], None] = _uncounted,
) -> bytes:
    """The decoded bytes. Raises `TooLarge` beyond `max_bytes`, `Invalid` when they are not of that encoding.

    With `max_ratio`, also for more than so many bytes from each byte. `count` is told the size of each part, in the
    thread that inflates; what it raises ends the inflating.
    """
    if encoding is None:
        if len(body) > max_bytes:
            raise TooLarge(f"The body is larger than {max_bytes} bytes.")
        return body
    most = max_bytes if max_ratio is None else max(RATIO_COUNTS_ABOVE_BYTES, max_ratio * len(body))
    kept, size = [], 0
    try:
        for part in _gunzipped(body) if encoding == "gzip" else _unzstded(body):
            size += len(part)
            if size > max_bytes:
                raise TooLarge(f"The inflated body is larger than {max_bytes} bytes.")
            if size > most:
                raise Invalid(f"The body inflates to more than {max_ratio} times its size: send it uncompressed.")
            count(len(part))
            kept.append(part)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Invalid(f"The body is not valid {encoding}, or needs a window beyond 8 MiB.") from error
    return b"".join(kept)


def _gunzipped(body: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    for start in range(0, len(body), _GZIP_INPUT_BYTES):
        packed = body[start : start + _GZIP_INPUT_BYTES]
        while packed and not inflater.eof:
            yield inflater.decompress(packed, _GZIP_OUTPUT_BYTES)
            packed = inflater.unconsumed_tail
        if inflater.eof and (inflater.unused_data or start + _GZIP_INPUT_BYTES < len(body)):
            break
    else:
        yield inflater.flush()
        if inflater.eof:
            return
    raise Invalid("The body is not one whole gzip stream.")


def _unzstded(body: bytes) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).decompressobj()
    for start in range(0, len(body), _ZSTD_INPUT_BYTES):
        if part := inflater.decompress(body[start : start + _ZSTD_INPUT_BYTES]):
            yield part
    if not inflater.eof or inflater.unused_data:
        raise Invalid("The body is not one whole zstd frame.")
