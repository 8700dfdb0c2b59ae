"""Content encodings: what comes out is what went in, and never more than the cap."""

import gzip
import random
import zlib
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, TooLarge, UnsupportedEncoding
from ledger.inflating import RATIO_COUNTS_ABOVE_BYTES, inflate, normal_encoding

CAP = 100_000
PACK = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}
ENCODINGS = sorted(PACK)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        (" GZip ", "gzip"),
        ("x-gzip", "gzip"),
        ("zstd", "zstd"),
    ],
)
def test_the_names_of_the_encodings(header: str | None, name: str | None) -> None:
    assert normal_encoding(header) == name


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, gzip", "x" * 1000])
def test_other_encodings_are_refused_with_what_to_use(header: str) -> None:
    with pytest.raises(UnsupportedEncoding, match="use gzip, zstd or none") as caught:
        normal_encoding(header)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(body=st.binary(max_size=5000))
def test_what_was_packed_comes_out(encoding: str, body: bytes) -> None:
    assert inflate(PACK[encoding](body), encoding, CAP) == body
    assert inflate(body, None, CAP) == body


@pytest.mark.parametrize("encoding", [None, *ENCODINGS])
def test_the_cap_is_exact(encoding: str | None) -> None:
    pack = PACK[encoding] if encoding else bytes
    assert len(inflate(pack(b"x" * CAP), encoding, CAP)) == CAP
    with pytest.raises(TooLarge, match=str(CAP)):
        inflate(pack(b"x" * (CAP + 1)), encoding, CAP)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_is_refused_before_it_is_inflated(encoding: str) -> None:
    bomb = PACK[encoding](bytes(200 * 1024 * 1024))
    with pytest.raises(TooLarge):
        inflate(bomb, encoding, CAP)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_inflates_beyond_the_ratio_is_refused_however_large_it_may_be(encoding: str) -> None:
    bomb = PACK[encoding](bytes(50 * 1024 * 1024))
    counted: list[int] = []
    with pytest.raises(Invalid, match="more than 100 times"):
        inflate(bomb, encoding, 2**40, max_ratio=100, count=counted.append)
    assert sum(counted) <= max(RATIO_COUNTS_ABOVE_BYTES, 100 * len(bomb))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_below_a_mebibyte_the_ratio_does_not_count(encoding: str) -> None:
    body = bytes(RATIO_COUNTS_ABOVE_BYTES)
    assert inflate(PACK[encoding](body), encoding, 2**40, max_ratio=1) == body


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_part_is_counted_before_the_next_one_is_made(encoding: str) -> None:
    body = random.Random(3).randbytes(3_000_000)
    counted: list[int] = []
    assert inflate(PACK[encoding](body), encoding, 2**40, count=counted.append) == body
    assert sum(counted) == len(body)
    assert max(counted) <= 4 * 1024 * 1024

    def full(_: int) -> None:
        raise TooLarge("full")

    with pytest.raises(TooLarge, match="full"):
        inflate(PACK[encoding](body), encoding, 2**40, count=full)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("spoil", ["cut", "appended", "twice", "empty", "other"])
def test_what_is_not_one_whole_piece_is_invalid(encoding: str, spoil: str) -> None:
    whole = PACK[encoding](b"body" * 100)
    spoiled = {
        "cut": whole[:-1],
        "appended": whole + b"x",
        "twice": whole + whole,
        "empty": b"",
        "other": b"{}",
    }[spoil]
    with pytest.raises(Invalid):
        inflate(spoiled, encoding, CAP)


def test_gzip_inside_of_gzip_is_inflated_once() -> None:
    inner = gzip.compress(b"body")
    assert inflate(gzip.compress(inner), "gzip", CAP) == inner


def test_bare_deflate_is_not_gzip() -> None:
    with pytest.raises(Invalid):
        inflate(zlib.compress(b"body"), "gzip", CAP)


def test_a_zstd_window_beyond_the_limit_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    wide = packer.compress(b"x" * 1000) + packer.flush()
    with pytest.raises(Invalid, match="not valid zstd"):
        inflate(wide, "zstd", CAP)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "br", ""])
@given(body=st.binary())
def test_any_bytes_are_inflated_or_refused(encoding: str, body: bytes) -> None:
    with suppress(Invalid):
        assert len(inflate(body, encoding, 1000)) <= 1000
