"""Is this JSON that every later stage can read? Judged on the bytes, without building what they describe.

A report's payload stays raw: it may be 32 MB of anything. What is refused here would be read differently, or not at
all, further down: text that is not UTF-8, nesting deeper than `MAX_DEPTH`, integers beyond 64 bits, floats beyond a
double. The grammar itself is judged by msgspec where the payloads are cut out.
"""

import re
from array import array
from collections.abc import Iterator
from io import BytesIO
from itertools import accumulate
from typing import NoReturn

from ledger.errors import Invalid, TooDeep

MAX_DEPTH = 64

_PIECE_BYTES = 256 * 1024
"""So much is looked at in one go. A single call over a whole body would hold the interpreter for seconds."""

_SUSPICIOUS_NUMBER = re.compile(
    rb"(?<![\d.])-?\d{19,}(?:\.\d+)?(?:[eE][+-]?\d+)?|(?<![\d.])-?\d+(?:\.\d+)?[eE][+-]?\d{3,}"
)
"""Only a number of this form can be beyond 64 bits or a double. A fraction is no number of its own."""

_OF_NUMBERS = b"0123456789+-.eE"
_STEPS = bytes.maketrans(b"{[]}", b"\x01\x01\xff\xff")  # as signed bytes: one level in, one level out
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SHAPE = bytes(
    0x30 if byte in b"0123456789+" else 0x65 if byte in b"eE" else 0x5B if byte in b"[{" else 0x20
    for byte in range(256)
)
"""Digits and + become 0, exponents e, opening brackets [, and the rest spaces."""
_OF_WORDS = b"ghijklmnopqrstuvwxyz" + bytes(range(0x80, 0x100))
"""Left out of a shape: half of a text, so that searching it costs half. No number holds any of these, so each number
still stands in the shape in one piece: what is left out can only join what stood apart and cause a needless check.
Without small letters from g and with those to f, few hashes and Base64 texts cause one; without all letters, all would.
"""

_INT64 = range(-(2**63), 2**63)


_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_ESCAPE = re.compile(  # the backslash stands before the alternatives: so it is looked for four times as fast
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_LONGEST_ESCAPE = 12
_REPLACEMENT = rb"\ufffd"


def readable(body: bytes) -> bytes:
    """The body with every escape of half a character replaced by that of U+FFFD, which is as long.

    JavaScript writes such an escape where a text was cut inside of an emoji. It is no character, so no later stage
    could read the report; refusing the report for it would lose the rest of it too.
    """
    if b"\\" not in body or b"\\u" not in body:  # a search for one byte costs a tenth of one for two
        return body
    if (b"\\ud" not in body and b"\\uD" not in body) or not _may_have_halves(body):
        return body
    whole = BytesIO(body)  # copies when it is first written to, and gives its bytes away without a second copy
    for start in _lone_halves(body):
        whole.seek(start)
        whole.write(_REPLACEMENT)
    return whole.getvalue()


def _may_have_halves(body: bytes) -> bool:
    """Whether there is something to look at escape by escape. A window sees as much more as a pair needs."""
    starts = range(0, len(body), _PIECE_BYTES)
    return any(_LONE_SURROGATE.search(body, at, at + _PIECE_BYTES + _LONGEST_ESCAPE) for at in starts)


def _lone_halves(body: bytes) -> Iterator[int]:
    """Where they begin. A window sees the whole of an escape that begins in it; the next one begins behind that."""
    start = 0
    while start < len(body):
        end = start + _PIECE_BYTES
        for found in _ESCAPE.finditer(body, start, end + _LONGEST_ESCAPE):
            if found.start() >= end:
                break
            if found["lone"]:
                yield found.start()
            start = found.end()
        start = max(start, end)


def check_json_text(body: bytes) -> None:
    """Return when the text is fit to be parsed. Raises `Invalid` or `TooDeep`; never anything else."""
    try:
        if not body.isascii():  # asking costs a tenth of decoding
            body.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"The body is not UTF-8 (byte {error.start}).") from None
    shape = body.translate(_SHAPE, _OF_WORDS)
    if shape.count(b"[") > MAX_DEPTH or _may_hold_large_numbers(shape):
        _check_without_strings(b"".join(_without_strings(body)))  # costs three times as much as all of the above


def _may_hold_large_numbers(shape: bytes) -> bool:
    """False when all numbers of a text of this shape fit. These searches cost a twentieth of the regular expression.

    What is beyond a double has an exponent of three digits that is not negative, or many digits before its point.
    """
    return b"0e000" in shape or b"0" * 19 in shape


def _without_strings(body: bytes) -> Iterator[bytes]:
    """What stands between the strings, a space for each quote. Where a string begins and ends is a matter of parity."""
    start, inside = 0, False
    while start < len(body):
        piece = body[start : start + _PIECE_BYTES]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # the character after a backslash belongs to it
            piece = body[start : start + _PIECE_BYTES + 1]
        start += len(piece)
        if b"\\" in piece:  # to look for it is free, to look for pairs is half of the cost
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        yield b" ".join(parts[inside::2])
        if len(parts) > 1:
            yield b" "
        inside ^= len(parts) % 2 == 0


def _check_without_strings(text: bytes) -> None:
    start, depth = 0, 0
    while start < len(text):
        piece = text[start : start + _PIECE_BYTES]
        if start + len(piece) < len(text):
            piece = piece.rstrip(_OF_NUMBERS) or _too_long(piece)
        start += len(piece)
        depth = _depth_after(piece, depth)
        if _may_hold_large_numbers(piece.translate(_SHAPE, _OF_WORDS)):
            _check_numbers(piece)
    if depth:
        raise _too_deep()


def _check_numbers(piece: bytes) -> None:
    for match in _SUSPICIOUS_NUMBER.finditer(piece):
        if not _fits(match.group()):
            raise _out_of_range(match.group())


def _depth_after(piece: bytes, depth: int) -> int:
    steps = array("b", piece.translate(_STEPS, _NOT_BRACKETS))
    levels = list(accumulate(steps, initial=depth))
    if min(levels) < 0 or max(levels) > MAX_DEPTH:
        raise _too_deep()
    return levels[-1]


def _too_long(number: bytes) -> NoReturn:
    raise _out_of_range(number)


def _too_deep() -> TooDeep:
    return TooDeep(f"The JSON is nested deeper than {MAX_DEPTH} levels, or its brackets do not match.")


def _out_of_range(number: bytes) -> Invalid:
    return Invalid(f"The number {number[:24].decode()} is out of range.")


def _fits(number: bytes) -> bool:
    if number.lstrip(b"-").isdigit():
        return len(number) <= 20 and int(number) in _INT64
    return abs(float(number)) != float("inf")
