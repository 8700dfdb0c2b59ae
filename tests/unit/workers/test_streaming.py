"""What raw streams tell, dialect by dialect."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ledger.prices.book import PriceBook
from ledger.prices.costing import Priceable, Priced, cost_of
from ledger.usage import Usage
from workers.metering import read_usage
from workers.streaming import StreamedReply, read_stream


def sse(*chunks: Mapping[str, Any] | str) -> str:
    texts = [chunk if isinstance(chunk, str) else msgspec.json.encode(chunk).decode() for chunk in chunks]
    return "".join(f"data: {text}\n\n" for text in texts)


def named(*events: Mapping[str, Any]) -> str:
    return "".join(f"event: {event['type']}\r\ndata: {msgspec.json.encode(event).decode()}\r\n\r\n" for event in events)


def chat(delta: Mapping[str, Any] | None = None, *, index: int = 0, **changes: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta or {}, "finish_reason": changes.pop("finish_reason", None)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-5-2025-08-07",
        "choices": [choice],
    } | changes


COUNTS = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
COUNTED = Usage(input_tokens=10, output_tokens=3, total_tokens=13)


def test_an_openai_chat_stream() -> None:
    stream = sse(
        chat({"role": "assistant", "content": ""}, service_tier="auto"),
        chat({"content": "Hel"}, usage=None),
        chat({"content": "other"}, index=1),
        chat({"content": "lo"}),
        chat({}, finish_reason="stop", service_tier="flex"),
        chat({}, choices=[], usage=COUNTS),
        "[DONE]",
    )
    assert read_stream(stream) == StreamedReply(
        usage=COUNTED,
        model="gpt-5-2025-08-07",
        response_id="chatcmpl-1",
        finish_reason="stop",
        service_tier="flex",
        completion="Hello",
    )


def test_the_last_usage_of_a_chat_stream_counts_whatever_else_its_chunk_holds() -> None:
    stream = sse(
        chat({"content": "a"}, usage={"prompt_tokens": 10, "completion_tokens": 1}),
        chat({"content": "b"}, usage=COUNTS),
        chat({}, usage=None),
    )
    assert read_stream(stream).usage == COUNTED


def test_some_imitators_put_the_usage_into_the_choice() -> None:
    stream = sse(chat({}, choices=[{"index": 0, "delta": {}, "usage": COUNTS}]))
    assert read_stream(stream).usage == COUNTED


def test_a_chat_stream_without_usage_has_none() -> None:
    assert read_stream(sse(chat({"content": "Hi"}), "[DONE]")).usage is None


def test_a_stream_of_tool_calls_has_no_completion() -> None:
    stream = sse(chat({"content": None, "tool_calls": [{}]}), chat({}, finish_reason="tool_calls"))
    reply = read_stream(stream)
    assert (reply.completion, reply.finish_reason) == (None, "tool_calls")


def test_an_empty_completion_is_not_a_missing_one() -> None:
    assert read_stream(sse(chat({"content": ""}))).completion == ""


def test_a_stream_of_plain_completions() -> None:
    chunks = [{"object": "text_completion", "choices": [{"text": text, "index": 0}]} for text in ("one", " two")]
    assert read_stream(sse(*chunks)).completion == "one two"


def test_text_parts_are_joined() -> None:
    content = [{"type": "text", "text": "one"}, {"type": "thinking"}, {"type": "text", "text": " two"}, 7]
    assert read_stream(sse(chat({"content": content}))).completion == "one two"


def test_the_first_model_that_is_named_counts() -> None:
    assert read_stream(sse(chat(model=""), chat(model="gpt-5"), chat(model="gpt-4"))).model == "gpt-5"


def response(**changes: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "model": "gpt-5", "usage": None} | changes


DONE = response(
    service_tier="default",
    output=[{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
    usage={
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 13,
    },
)
RESPONSE_USAGE = Usage(input_tokens=10, output_tokens=3, total_tokens=13, cache_read_tokens=4, reasoning_tokens=2)


def test_an_openai_responses_stream() -> None:
    stream = named(
        {"type": "response.created", "response": response(service_tier="auto")},
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.output_text.delta", "delta": "lo"},
        {"type": "response.completed", "response": DONE},
    )
    assert read_stream(stream) == StreamedReply(
        usage=RESPONSE_USAGE, model="gpt-5", response_id="resp_1", service_tier="default", completion="Hello"
    )


def test_a_responses_stream_without_pieces_has_its_text_at_the_end() -> None:
    assert read_stream(named({"type": "response.completed", "response": DONE})).completion == "Hello"


def test_a_responses_stream_that_failed_tells_why() -> None:
    failed = response(error={"code": "server_error", "message": "It broke."})
    reply = read_stream(named({"type": "response.failed", "response": failed}))
    assert (reply.error, reply.response_id) == ("It broke.", "resp_1")


START = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-opus-4-8",
    "usage": {
        "input_tokens": 504,
        "cache_creation_input_tokens": 123,
        "cache_read_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 123, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "service_tier": "standard",
    },
}
MESSAGE_START = {"type": "message_start", "message": START}
HELLO = (
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}},
    {"type": "content_block_stop", "index": 0},
)


def message_delta(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def test_an_anthropic_stream() -> None:
    stream = named(MESSAGE_START, *HELLO, message_delta(output_tokens=40), {"type": "message_stop"})
    assert read_stream(stream) == StreamedReply(
        usage=Usage(
            input_tokens=1627,
            output_tokens=40,
            total_tokens=1667,
            cache_read_tokens=1000,
            cache_write_tokens=123,
            cache_write_5m_tokens=123,
            cache_write_1h_tokens=0,
        ),
        model="claude-opus-4-8",
        response_id="msg_1",
        finish_reason="end_turn",
        service_tier="standard",
        completion="Hello",
    )


def test_an_anthropic_stream_costs_the_same_as_the_plain_reply() -> None:
    streamed = read_stream(named(MESSAGE_START, *HELLO, message_delta(output_tokens=40)))
    plain = read_usage(START | {"usage": START["usage"] | {"output_tokens": 40}})  # type: ignore[operator]
    assert streamed.usage == plain
    book = PriceBook.load()
    costs = [
        cost_of(
            Priceable(
                provider="anthropic",
                model_served="claude-opus-4-8",
                model_requested=None,
                requested_at=datetime(2026, 11, 1, tzinfo=UTC),
                usage=usage,
            ),
            book,
        )
        for usage in (streamed.usage, plain)
    ]
    assert costs[0] == costs[1]
    assert isinstance(costs[0], Priced)


def test_later_anthropic_counts_stand_for_all_that_came_before() -> None:
    split = {"ephemeral_5m_input_tokens": 23, "ephemeral_1h_input_tokens": 200}
    usage = read_stream(
        named(
            MESSAGE_START,
            message_delta(output_tokens=20),
            message_delta(output_tokens=40, cache_creation_input_tokens=223, cache_creation=split, input_tokens=None),
        )
    ).usage
    assert usage is not None
    assert usage.input_tokens == 504 + 223 + 1000
    assert (usage.cache_write_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (223, 23, 200)
    assert usage.output_tokens == 40


def test_a_zero_that_follows_an_anthropic_count_is_filler() -> None:
    usage = read_stream(named(MESSAGE_START, message_delta(input_tokens=0, output_tokens=40))).usage
    assert usage is not None
    assert usage.input_tokens == 1627


def test_an_anthropic_stream_that_was_cut_does_not_know_its_output() -> None:
    reply = read_stream(named(MESSAGE_START, *HELLO) + 'event: message_delta\r\ndata: {"type":"message_del')
    assert reply.completion == "Hello"
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (1627, None, None)


def test_an_anthropic_stream_may_name_its_speed() -> None:
    start = {"type": "message_start", "message": START | {"usage": {"input_tokens": 1, "speed": "fast"}}}
    assert read_stream(named(start)).speed == "fast"
    assert read_stream(named({"type": "message_delta", "usage": {"speed": "fast", "service_tier": "batch"}})) == (
        StreamedReply(speed="fast", service_tier="batch")
    )


def gemini(text: str | None = None, **changes: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}] if text else []}}
    if "finish" in changes:
        candidate["finishReason"] = changes.pop("finish")
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-pro", "responseId": "r1"} | changes


def test_a_gemini_stream() -> None:
    stream = sse(
        gemini("Hel", usageMetadata={"promptTokenCount": 10, "totalTokenCount": 10}),
        gemini("lo"),
        gemini(
            finish="STOP",
            usageMetadata={
                "promptTokenCount": 10,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 60,
            },
        ),
    )
    assert read_stream(stream) == StreamedReply(
        usage=Usage(input_tokens=10, output_tokens=50, total_tokens=60, reasoning_tokens=30),
        model="gemini-2.5-pro",
        response_id="r1",
        finish_reason="STOP",
        completion="Hello",
    )


def test_only_the_first_candidate_of_a_gemini_stream_is_the_completion() -> None:
    chunk = gemini("one")
    chunk["candidates"] += gemini("two")["candidates"]
    assert read_stream(sse(chunk)).completion == "one"


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        ({"error": {"message": "Overloaded.", "type": "server_error"}}, "Overloaded."),
        ({"error": {"type": "server_error"}}, "server_error"),
        ({"error": {"code": 500}}, "error"),
        ({"error": "It broke."}, "It broke."),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "Overloaded"),
        ({"type": "error", "code": "x", "message": "It broke."}, "It broke."),
        ({"type": "error", "error": "It broke."}, "It broke."),
        ({"type": "error"}, "error"),
        ({"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED"}}, "Quota."),
        ({"error": None}, None),
        ({"error": 7}, None),
        ({"type": "message_stop"}, None),
    ],
)
def test_an_error_in_the_stream_is_told(chunk: dict[str, Any], message: str | None) -> None:
    reply = read_stream(sse(chat({"content": "Hel"}), chunk))
    assert reply.error == message
    assert reply.completion == "Hel"


def test_a_refusal_in_place_of_a_stream_is_told() -> None:
    assert read_stream('{"error": {"message": "No such model."}}') == StreamedReply(error="No such model.")


def test_a_reply_in_one_piece_in_place_of_a_stream_is_read() -> None:
    whole = {"id": "c", "choices": [{"index": 0, "message": {"content": "Hello"}}], "usage": COUNTS}
    reply = read_stream(msgspec.json.encode(whole).decode())
    assert (reply.completion, reply.usage) == ("Hello", COUNTED)


@pytest.mark.parametrize("text", ["", "data: [DONE]\n\n", "no stream at all", ": ping\n\n"])
def test_a_stream_that_tells_nothing(text: str) -> None:
    assert read_stream(text) == StreamedReply()


def test_every_beginning_of_a_stream_gives_an_answer() -> None:
    stream = named(MESSAGE_START, *HELLO, message_delta(output_tokens=40))
    assert all(read_stream(stream[:length]).model in (None, "claude-opus-4-8") for length in range(len(stream)))
