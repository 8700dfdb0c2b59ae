"""What is fit to be parsed at every later stage, judged without parsing."""

import base64
import cProfile
import json
import math
import pstats
import random
import re
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, TooDeep
from ledger.json_text import MAX_DEPTH, _check_without_strings, check_json_text, readable

EDGES = [0, 1, -1, 2**53, 2**63 - 1, -(2**63), 0.5, 1e308, -1e308, 1e-320]
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from(EDGES) | st.text()
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(LEAVES | FLOATS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def fault_of(body: bytes, check: Callable[[bytes], None] = check_json_text) -> type[Exception] | None:
    try:
        check(body)
    except Invalid as error:
        return type(error)
    return None


@given(VALUES, st.booleans())
def test_ordinary_json_is_fit(value: object, ascii_only: bool) -> None:
    check_json_text(json.dumps(value, ensure_ascii=ascii_only).encode())


def nested(depth: int, seed: int) -> bytes:
    """Lists and objects in one another, mixed by chance."""
    chance = random.Random(seed)
    opened, closed = b"", b""
    for _ in range(depth):
        is_list = chance.random() < 0.5
        opened += b"[1," if is_list else b'{"[":'
        closed = (b"]" if is_list else b"}") + closed
    return opened + b"{}"[: 2 * (depth == 0)] + b"0" * (depth > 0) + closed


@given(st.integers(0, 3 * MAX_DEPTH), st.integers())
def test_nesting_is_counted_exactly_whatever_is_nested_in_what(depth: int, seed: int) -> None:
    expected = TooDeep if depth > MAX_DEPTH else None
    assert fault_of(nested(depth, seed)) is expected


def test_brackets_in_texts_do_not_count() -> None:
    check_json_text(json.dumps({"a": "[" * 1000, "b": ['\\"[', "]{" * 100]}).encode())
    check_json_text(b'{"a":"' + rb"\"[" * 1000 + b'"}')


@pytest.mark.parametrize(
    "body", [b"[" * 65, b"]" * 65 + b"[" * 65, b"[" * 66 + b"]" * 65, b'["' + b"[" * 70, b"{" * 70 + b'"']
)
def test_brackets_that_do_not_match_are_refused_or_left_to_the_parser(body: bytes) -> None:
    assert fault_of(body) in {TooDeep, None}


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775807",
        "-9223372036854775808",
        "1.7976931348623157e308",
        "0.12345678901234567890123456789",
        "-0.00000000000000000000000000001",
        "12345678901234567890.5",
        "1e-400",
        "1E+0000000000000000000001",
        "123456789012345678901234567890e0",
    ],
)
def test_numbers_within_64_bits_or_a_double_are_fit(number: str) -> None:
    check_json_text(b'{"a":%s,"b":[%s]}' % (number.encode(), number.encode()))


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775808",
        "-9223372036854775809",
        "1" * 400,
        "1e309",
        "-1e309",
        "0.1e400",
        "1E+999",
        "1" * 310 + ".5",
        "1" * 300 + "e50",
    ],
)
def test_numbers_beyond_are_refused_by_name(number: str) -> None:
    with pytest.raises(Invalid, match=f"^The number {re.escape(number[:24])} is out of range"):
        check_json_text(b'{"a":%s}' % number.encode())


WHOLE = st.sampled_from(["0", "7", "12", "9" * 18, "9223372036854775807", "9223372036854775808", "1" * 30, "1" * 320])
FRACTION = st.sampled_from(["", ".5", "." + "0" * 25 + "1"])
EXPONENT = st.sampled_from(["", "e5", "E+50", "e308", "e309", "E+309", "e+0309", "e-9", "E-400", "e0000000007"])
NUMBER = st.tuples(st.sampled_from(["", "-"]), WHOLE, FRACTION, EXPONENT).map("".join)
STRING = st.text(st.characters(codec="ascii"), max_size=8).map(json.dumps) | NUMBER.map(json.dumps)
TEXT = st.recursive(
    NUMBER | NUMBER | STRING,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(STRING, inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"
        )
        | st.tuples(inner, st.integers(60, 66)).map(lambda pair: "[" * pair[1] + pair[0] + "]" * pair[1])
    ),
    max_leaves=8,
)


def has_fault(text: str) -> bool:
    """Whether a parser of Python's finds in this JSON what may not be there."""
    beyond: list[str] = []

    def whole(number: str) -> int:
        beyond.extend([number] * (not -(2**63) <= int(number) < 2**63))
        return 0

    def fraction(number: str) -> int:
        beyond.extend([number] * math.isinf(float(number)))
        return 0

    def values(pairs: list[tuple[str, object]]) -> list[object]:
        return [value for _, value in pairs]  # also of a name that is there twice

    value = json.loads(text, parse_int=whole, parse_float=fraction, object_pairs_hook=values)
    return bool(beyond) or depth_of(value) > MAX_DEPTH


def depth_of(value: object) -> int:
    """How many lists and objects are in one another."""
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(TEXT)
def test_json_has_a_fault_exactly_when_a_full_parse_finds_one(text: str) -> None:
    assert (fault_of(text.encode()) is not None) == has_fault(text)


SOUP = ["0", "1" * 6, "9" * 18, "e", "E", "+", "-", ".", " ", ",", "x", "g", "b", "T", "ä", "✓"]


@given(st.lists(st.sampled_from(SOUP)).map("".join))
def test_a_glance_lets_through_exactly_what_the_full_check_does(text: str) -> None:
    body = f"[{text}]".encode()
    assert fault_of(body) is fault_of(body, _check_without_strings)


def calls(function: Callable[[bytes], object], body: bytes) -> dict[str, int]:
    """How often each function was called, by its name."""
    profile = cProfile.Profile()
    profile.runcall(function, body)
    return {name: counts[1] for (_, _, name), counts in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "rule",
    [
        "-" * 40,
        "|" + "-----|" * 20,
        "=" * 80,
        "a1e5 2026-05-04T03:02:01 0.000001",
        base64.b64encode(random.Random(1).randbytes(1000)).decode(),
        "2026年05月04日03時02分01秒",
    ],
)
def test_what_often_stands_in_a_text_is_let_through_at_a_glance(rule: str) -> None:
    called = calls(check_json_text, json.dumps({"a": rule}, ensure_ascii=False).encode())
    assert "check_json_text" in called
    assert "_check_without_strings" not in called


def test_numbers_in_texts_do_not_count() -> None:
    check_json_text(b'{"1e999":"1e999","a":"%s"}' % (b"9" * 400))


@given(st.integers(-(10**40), 10**40))
def test_an_integer_is_fit_when_64_bits_hold_it(number: int) -> None:
    expected = None if -(2**63) <= number < 2**63 else Invalid
    assert fault_of(b"[%d]" % number) is expected


@given(st.binary())
def test_any_bytes_are_fit_or_invalid(body: bytes) -> None:
    assert fault_of(body) in {None, Invalid, TooDeep}


@pytest.mark.parametrize("body", [b"\xff", b'{"a":"\xed\xa0\x80"}', b"\xc3"])
def test_what_is_not_utf8_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(Invalid, match="not UTF-8"):
        check_json_text(body)


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 65 + b'"' + b'\\"' * 2_000_000,
        b"[" * 65 + b'"' + b'\\"' * 2_000_000 + b"\\",
        b"[1e1,1." + b"1" * 4_000_000 + b"]",
        b"[1e1," + b"1." * 2_000_000 + b"]",
        b"[1e1," + b"11111111111111111." * 200_000 + b"]",
        b"[" * 4_000_000,
    ],
    ids=["unclosed text", "unclosed text and escape", "long fraction", "points", "long integers", "brackets"],
)
def test_hostile_text_costs_no_more_than_its_length(hostile: bytes) -> None:
    fault_of(hostile)  # anything quadratic would run for hours


FRAGMENTS: list[tuple[bytes, type[Exception] | None]] = [
    (rb'"\\\\","[[",1', None),
    (rb'"\"[[[","\\\"]]",1', None),
    (b"9223372036854775807,1", None),
    (b"9223372036854775808,1", Invalid),
    (b"-0.1e400,1", Invalid),
    (b"[" * 63 + b"]" * 63, None),
    (b"[" * 64 + b"]" * 64, TooDeep),
    (b'"' + b"[" * 70 + b'",1', None),
]
PIECE = 256 * 1024  # so much is looked at in one go


@pytest.mark.parametrize(("fragment", "fault"), FRAGMENTS)
def test_it_does_not_matter_where_a_long_body_is_cut(fragment: bytes, fault: type[Exception] | None) -> None:
    for before in range(0, len(fragment) + 2, 1 + len(fragment) // 20):
        filling = b" " * (PIECE - before - 2)
        always = b"[1e1," + b"[]," * 70  # whatever follows is looked at
        assert fault_of(always + filling[len(always) - 1 :] + fragment + b"]") is fault, before


def test_a_number_longer_than_what_is_looked_at_in_one_go_is_refused() -> None:
    assert fault_of(b"[" + b"1" * 3 * PIECE + b"]") is Invalid


@pytest.mark.parametrize("cut_at", range(14))
def test_halves_and_wholes_are_told_apart_wherever_a_long_body_is_cut(cut_at: int) -> None:
    filling = b'{"a":"' + b"x" * (PIECE - 6 - cut_at)
    whole, half = filling + rb'\ud83d\ude00"}', filling + rb'\ud83d \ude00"}'
    assert readable(whole) == whole
    assert readable(half) == filling + rb'\ufffd \ufffd"}'


@pytest.mark.parametrize("cut_at", range(14))
def test_after_a_half_all_others_are_told_apart_wherever_a_long_body_is_cut(cut_at: int) -> None:
    start = rb'{"a":"\ud83d'
    filling = b"x" * (PIECE - len(start) - cut_at)
    for end, read in [
        (rb'\ud83d\ude00"}', rb'\ud83d\ude00"}'),
        (rb'\ud83d\ud83d\ude00"}', rb'\ufffd\ud83d\ude00"}'),
        (rb'\\ud83d \\\ude00"}', rb'\\ud83d \\\ufffd"}'),
    ]:
        assert readable(start + filling + end) == rb'{"a":"\ufffd' + filling + read


def test_no_search_for_halves_goes_over_a_long_body_at_once() -> None:
    assert (
        calls(readable, rb'{"a":"\ud83d' + b"x" * 8 * PIECE + b'"}')["<method 'finditer' of 're.Pattern' objects>"] > 8
    )


def test_a_long_body_is_copied_once_to_be_made_readable() -> None:
    body = rb'{"a":"\ud83d' + b"x" * 8 * PIECE + b'"}'
    tracemalloc.start()
    try:
        assert readable(body) != body
        assert tracemalloc.get_traced_memory()[1] < len(body) * 1.5
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb'{"a":"cut \ud83d"}', rb'{"a":"cut \ufffd"}'),
        (rb'{"a":"\uDE00 first"}', rb'{"a":"\ufffd first"}'),
        (rb'{"a":"\ud83d\ud83d\ude00"}', rb'{"a":"\ufffd\ud83d\ude00"}'),
        (rb'{"a":"\ud83d\ude00\ude00"}', rb'{"a":"\ud83d\ude00\ufffd"}'),
        (rb'{"a":"whole \ud83d\ude00"}', rb'{"a":"whole \ud83d\ude00"}'),
        (rb'{"a":"no escape \\ud83d"}', rb'{"a":"no escape \\ud83d"}'),
        (rb'{"a":"\\\ud83d"}', rb'{"a":"\\\ufffd"}'),
    ],
)
def test_half_a_character_becomes_the_replacement_character_and_nothing_else_changes(sent: bytes, read: bytes) -> None:
    assert readable(sent) == read
    msgspec.json.decode(readable(sent))


@given(st.text(st.characters(categories=["Cs", "Ll", "So"])))
def test_every_text_that_a_script_can_hold_is_readable(text: str) -> None:
    sent = json.dumps({"a": text}).encode()
    expected = json.loads(readable(sent))["a"].encode("utf-8", "surrogatepass").decode("utf-8")
    assert msgspec.json.decode(readable(sent))["a"] == expected
    assert len(readable(sent)) == len(sent)
