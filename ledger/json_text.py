"""Is this JSON that every later stage can read? Judged on the bytes, without building what they describe.

A report's payload stays raw: it may be 32 MB of anything. What is refused here would be read differently, or not at
all, further down: text that is not UTF-8, nesting deeper than `MAX_DEPTH`, integers beyond 64 bits, floats beyond a
double. The grammar itself is judged by msgspec where the payloads are cut out.
"""

import re

from ledger.errors import Invalid, TooDeep

MAX_DEPTH = 64

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or what an unclosed one leaves to the end: looking for its end again and again would take for ever."""

_SUSPICIOUS_NUMBER = re.compile(
    rb"(?<![\d.])-?\d{19,}(?:\.\d+)?(?:[eE][+-]?\d+)?|(?<![\d.])-?\d+(?:\.\d+)?[eE][+-]?\d{3,}"
)
"""Only a number of this form can be beyond 64 bits or a double. A fraction is no number of its own."""

_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS_AND_EXPONENTS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x65 if byte in b"eE" else 0x20 for byte in range(256))
_INT64 = range(-(2**63), 2**63)


_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_REPLACEMENT = rb"\ufffd"


def readable(body: bytes) -> bytes:
    """The body with every escape of half a character replaced by that of U+FFFD, which is as long.

    JavaScript writes such an escape where a text was cut inside of an emoji. It is no character, so no later stage
    could read the report; refusing the report for it would lose the rest of it too.
    """
    if (b"\\ud" not in body and b"\\uD" not in body) or _LONE_SURROGATE.search(body) is None:
        return body
    return _ESCAPE.sub(lambda found: _REPLACEMENT if found.group("lone") else found.group(), body)


def check_json_text(body: bytes) -> None:
    """Return when the text is fit to be parsed. Raises `Invalid` or `TooDeep`; never anything else."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"The body is not UTF-8 (byte {error.start}).") from None
    brackets = body.count(b"{") + body.count(b"[") > MAX_DEPTH
    shape = body.translate(_DIGITS_AND_EXPONENTS)
    numbers = b"0" * 19 in shape or b"0e" in shape
    if brackets or numbers:
        _check_without_strings(_STRING.sub(b'""', body))


def _check_without_strings(text: bytes) -> None:
    nested = text.translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not nested:
            break
        nested = nested.replace(b"[]", b"")  # the innermost level of everything
    if nested:
        raise TooDeep(f"The JSON is nested deeper than {MAX_DEPTH} levels, or its brackets do not match.")
    for match in _SUSPICIOUS_NUMBER.finditer(text):
        if not _fits(match.group()):
            raise Invalid(f"The number {match.group()[:24].decode()} is out of range.")


def _fits(number: bytes) -> bool:
    if number.lstrip(b"-").isdigit():
        return len(number) <= 20 and int(number) in _INT64
    return abs(float(number)) != float("inf")
