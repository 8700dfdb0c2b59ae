"""The hand-written OTLP messages: bytes as the official library writes them, and every fact of the call in them."""

import base64
from collections.abc import Iterator

import pytest

from tests.bench.peers.calls import LlmCall, Usage, calls
from tests.bench.peers.otlp import attributes, export, trace_id

NOW_MS = 1_795_289_550_000

# `ExportTraceServiceRequest.SerializeToString` of opentelemetry-proto 1.45.2 for the short call
OFFICIAL = (
    "CswEChkKFwoMc2VydmljZS5uYW1lEgcKBWJlbmNoEq4ECgcKBWJlbmNoEqIEChBGb3JISjNMVHEMbX0yCQbMEghGb3JISjNMVCoOQ2hhdENvbX"
    "BsZXRpb24wAzkAjLh4VSbqGEGA5EXCVSbqGEogChdvcGVuaW5mZXJlbmNlLnNwYW4ua2luZBIFCgNMTE1KKgoObGxtLm1vZGVsX25hbWUSGAoW"
    "Z3B0LTRvLW1pbmktMjAyNC0wNy0xOEoYCgxsbG0ucHJvdmlkZXISCAoGb3BlbmFpSh0KFmxsbS50b2tlbl9jb3VudC5wcm9tcHQSAxiQA0ohCh"
    "psbG0udG9rZW5fY291bnQuY29tcGxldGlvbhIDGPwCShwKFWxsbS50b2tlbl9jb3VudC50b3RhbBIDGIwGSi8KKWxsbS50b2tlbl9jb3VudC5w"
    "cm9tcHRfZGV0YWlscy5jYWNoZV9yZWFkEgIYAEogCgtpbnB1dC52YWx1ZRIRCg97ImFzayI6InfDtnJkIn1KJQoPaW5wdXQubWltZV90eXBlEh"
    "IKEGFwcGxpY2F0aW9uL2pzb25KHgoMb3V0cHV0LnZhbHVlEg4KDHsic2F5Ijoib2sifUomChBvdXRwdXQubWltZV90eXBlEhIKEGFwcGxpY2F0"
    "aW9uL2pzb25KEwoHdXNlci5pZBIICgZ1c2VyOjdKFgoKc2Vzc2lvbi5pZBIICgZzZXNzXzFKJQoIbWV0YWRhdGESGQoXeyJzZXNzaW9uX2lkIj"
    "oic2Vzc18xIn16AhgB"
)


def a_call(total_tokens: int = 780) -> LlmCall:
    """A short one."""
    return LlmCall(
        number=7,
        requested_at_ms=NOW_MS,
        report=b"{}",
        request='{"ask":"wörd"}',
        response='{"say":"ok"}',
        model="gpt-4o-mini-2024-07-18",
        user="user:7",
        usage=Usage(400, 380, total_tokens, {"cached_tokens": 0}),
        tags={"session_id": "sess_1"},
    )


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The field numbers and values of a protobuf message."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 == 0:
            value, at = varint(message, at)
            yield tag >> 3, value
        else:
            length, at = (8, at) if tag & 7 == 1 else varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number, shift = 0, 0
    while True:
        number |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not message[at - 1] & 0x80:
            return number, at


def inside(message: bytes, *path: int) -> list[bytes]:
    """The messages at the end of this path of field numbers."""
    found = [message]
    for number in path:
        found = [
            value for each in found for field, value in fields(each) if field == number and isinstance(value, bytes)
        ]
    return found


def spans(request: bytes) -> list[bytes]:
    """The spans of an export."""
    return inside(request, 1, 2, 2)


def said(span: bytes) -> dict[str, str | int]:
    """The attributes of a span."""
    pairs = [dict(fields(pair)) for pair in inside(span, 9)]
    values = [next(iter(fields(bytes(pair[2])))) for pair in pairs]
    names = [bytes(pair[1]).decode() for pair in pairs]
    return {
        name: value if isinstance(value, int) else value.decode()
        for name, (_, value) in zip(names, values, strict=True)
    }


def test_an_export_is_what_the_official_library_writes_for_it() -> None:
    assert export([a_call()]) == base64.b64decode(OFFICIAL)


@pytest.mark.parametrize("tokens", [0, 1, 127, 128, 300, 2**31, 2**63 - 1])
def test_a_number_of_any_length_is_the_same_when_it_is_read(tokens: int) -> None:
    (span,) = spans(export([a_call(tokens)]))
    assert said(span)["llm.token_count.total"] == tokens


def test_every_call_becomes_a_span_of_a_trace_of_its_own_that_says_all_of_the_call() -> None:
    every = list(calls(100, 3000, NOW_MS))
    made = spans(export(every))
    assert [said(span) for span in made] == [attributes(call) for call in every]
    assert [inside(span, 1)[0] for span in made] == [trace_id(call) for call in every]
    assert len({trace_id(call) for call in every}) == len(every)
    assert [int.from_bytes(inside(span, 7)[0], "little") for span in made] == [
        call.requested_at_ms * 1_000_000 for call in every
    ]


def test_calls_are_of_the_last_minutes_one_per_millisecond_and_of_the_size_that_is_asked_for() -> None:
    every = list(calls(1000, 3000, NOW_MS))
    assert [call.requested_at_ms for call in every] == list(
        range(every[0].requested_at_ms, every[-1].requested_at_ms + 1)
    )
    assert every[0].requested_at_ms > NOW_MS - 60_000
    assert every[-1].received_at_ms < NOW_MS
    assert all(abs(len(call.report) - 3000) <= 16 for call in every)


def test_a_report_holds_the_texts_and_the_times_that_the_span_has() -> None:
    (call,) = calls(1, 3000, NOW_MS)
    assert call.request.encode() in call.report
    assert call.response.encode() in call.report
    assert b'"requestedAt":%d' % call.requested_at_ms in call.report
    assert b'"receivedAt":%d' % call.received_at_ms in call.report
