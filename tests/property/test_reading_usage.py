"""Whatever a provider answers: reading it gives an answer, and the counts in it hold together."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from ledger.usage import INT64_MAX, Usage
from workers.metering import read_service_tier, read_speed, read_usage
from workers.streaming import StreamedReply, read_stream

KEYS = (
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "cached_tokens",
    "input_tokens",
    "output_tokens",
    "input_tokens_details",
    "output_tokens_details",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "server_tool_use",
    "web_search_requests",
    "usageMetadata",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "type",
    "object",
    "choices",
    "delta",
    "message",
    "content",
    "text",
    "index",
    "finish_reason",
    "candidates",
    "parts",
    "response",
    "output",
    "error",
    "model",
    "id",
    "service_tier",
    "speed",
    "data",
)
TEXTS = ("message", "message_start", "message_delta", "content_block_delta", "response", "response.completed", "AUDIO")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2000)
    | st.integers(INT64_MAX - 2, INT64_MAX + 2)
    | st.floats()
    | st.sampled_from(TEXTS)
    | st.text(max_size=5)
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
replies = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
chunks = replies.map(lambda reply: "data: " + msgspec.json.encode(reply).decode())
lines = chunks | st.sampled_from(["", "data: [DONE]", ": ping", "event: message_start", "data:"]) | st.text(max_size=20)
newlines = st.sampled_from(["\n", "\n\n", "\r\n", "\r"])
streams = st.builds(lambda newline, parts: newline.join(parts), newlines, st.lists(lines, max_size=12))


def assert_counts_hold_together(usage: Usage | None) -> None:
    if usage is None:
        return
    assert all(count is None or (type(count) is int and 0 <= count <= INT64_MAX) for count in astuple(usage)[:-1])
    assert usage != Usage()
    if usage.input_tokens is not None:
        assert (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0) <= usage.input_tokens
    if usage.output_tokens is not None:
        assert (usage.reasoning_tokens or 0) <= usage.output_tokens


@given(replies)
def test_any_reply_gives_sane_counts_or_none(reply: dict[str, Any]) -> None:
    assert_counts_hold_together(read_usage(reply))
    assert read_service_tier(reply) != ""
    assert read_speed(reply) != ""


@given(streams | st.text())
def test_any_text_gives_a_reply(text: str) -> None:
    reply = read_stream(text)
    assert isinstance(reply, StreamedReply)
    assert_counts_hold_together(reply.usage)


@given(streams, st.data())
def test_a_stream_that_was_cut_gives_a_reply(text: str, data: st.DataObject) -> None:
    cut = text[: data.draw(st.integers(0, len(text)))]
    assert_counts_hold_together(read_stream(cut).usage)
