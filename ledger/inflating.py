"""Content-Encoding: one layer of gzip or zstd, inflated under a cap: a bomb is refused before it has grown."""

import zlib

import zstandard

from ledger.errors import Invalid, TooLarge, UnsupportedEncoding

MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024


def normal_encoding(header: str | None) -> str | None:
    """The encoding that a Content-Encoding header names: gzip, zstd or None. Raises `UnsupportedEncoding`."""
    name = (header or "identity").strip().lower()
    if name in {"identity", ""}:
        return None
    if name in {"gzip", "x-gzip"}:
        return "gzip"
    if name == "zstd":
        return "zstd"
    raise UnsupportedEncoding(f"The content encoding {name[:40]!r} is not supported: use gzip, zstd or none.")


def inflate(body: bytes, encoding: str | None, max_bytes: int) -> bytes:
    """The decoded bytes. Raises `TooLarge` beyond `max_bytes`, `Invalid` when they are not of that encoding."""
    if encoding is None:
        if len(body) > max_bytes:
            raise TooLarge(f"The body is larger than {max_bytes} bytes.")
        return body
    try:
        return _gunzip(body, max_bytes) if encoding == "gzip" else _unzstd(body, max_bytes)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Invalid(f"The body is not valid {encoding}.") from error


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    decoded = inflater.decompress(body, max_bytes + 1)
    if len(decoded) > max_bytes:
        raise TooLarge(f"The inflated body is larger than {max_bytes} bytes.")
    if not inflater.eof or inflater.unused_data:
        raise Invalid("The body is not one whole gzip stream.")
    return decoded


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    inflater = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).decompressobj()
    decoded = bytearray()
    # A piece of input can give at most its own length times the format's ratio, so the cap is looked at per piece.
    for start in range(0, len(body), 1024):
        decoded += inflater.decompress(body[start : start + 1024])
        if len(decoded) > max_bytes:
            raise TooLarge(f"The inflated body is larger than {max_bytes} bytes.")
    if not inflater.eof or inflater.unused_data:
        raise Invalid("The body is not one whole zstd frame.")
    return bytes(decoded)
