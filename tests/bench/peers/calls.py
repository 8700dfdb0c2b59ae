"""The calls that every system is given: the bench's own reports, of this minute, since lists may look back by time."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tests.bench.bodies import report_body

DURATION_MS = 1234
_NEWEST_AGE_MS = 10_000  # so that no clock and no rounding makes a call one of the future


class Usage(msgspec.Struct, frozen=True):
    """What the provider counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]

    @property
    def cached_tokens(self) -> int:
        """Of the prompt, read from the provider's cache."""
        return self.prompt_tokens_details["cached_tokens"]


class _Request(msgspec.Struct, frozen=True):
    user: str


class _Response(msgspec.Struct, frozen=True):
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class LlmCall:
    """One call. All that the other fields say stands in the report, too."""

    number: int
    requested_at_ms: int
    report: bytes  # as our own API takes it
    request: str  # the JSON that went to the provider
    response: str  # the JSON that came back
    model: str
    user: str
    usage: Usage
    tags: dict[str, str]

    @property
    def received_at_ms(self) -> int:
        """When the response was there."""
        return self.requested_at_ms + DURATION_MS


def calls(count: int, size: int, now_ms: int) -> Iterator[LlmCall]:
    """So many calls with reports of about `size` bytes, one per millisecond, the last one the newest."""
    first_ms = now_ms - _NEWEST_AGE_MS - DURATION_MS - count
    return (_call(number, size, first_ms + number) for number in range(count))


def _call(number: int, size: int, requested_at_ms: int) -> LlmCall:
    fields = msgspec.json.decode(report_body(size, number), type=dict[str, msgspec.Raw])
    fields["requestedAt"] = msgspec.Raw(str(requested_at_ms).encode())
    fields["receivedAt"] = msgspec.Raw(str(requested_at_ms + DURATION_MS).encode())
    request, response = bytes(fields["reqPayload"]), bytes(fields["respPayload"])
    answered = msgspec.json.decode(response, type=_Response)
    return LlmCall(
        number=number,
        requested_at_ms=requested_at_ms,
        report=msgspec.json.encode(fields),
        request=request.decode(),
        response=response.decode(),
        model=answered.model,
        user=msgspec.json.decode(request, type=_Request).user,
        usage=answered.usage,
        tags=msgspec.json.decode(fields["tags"], type=dict[str, str]),
    )
