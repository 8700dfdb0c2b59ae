"""What request and reply payloads say, in every provider's shape; and that nothing in one can raise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.payloads import NO_CALL, NO_REPLY, Call, Reply, decoded, read_call, read_reply, stream_in, texts_in

OPENAI_CHAT = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Hi!"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
TEXT_COMPLETION = {"id": "cmpl-1", "model": "davinci", "choices": [{"text": "Hi!", "finish_reason": "length"}]}
RESPONSES = {
    "id": "resp_1",
    "model": "gpt-5",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}, {"type": "output_text", "text": "!"}]},
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-5",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "input": {}}, {"type": "text", "text": "!"}],
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
GEMINI = {
    "responseId": "r1",
    "modelVersion": "gemini-2.5-pro",
    "candidates": [
        {"finishReason": "STOP", "content": {"parts": [{"text": "Hi"}, {"functionCall": {}}, {"text": "!"}]}}
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}


@pytest.mark.parametrize(
    ("reply", "id_", "model", "finish_reason"),
    [
        (OPENAI_CHAT, "chatcmpl-1", "gpt-4o-2024-08-06", "stop"),
        (TEXT_COMPLETION, "cmpl-1", "davinci", "length"),
        (RESPONSES, "resp_1", "gpt-5", None),
        (ANTHROPIC, "msg_1", "claude-sonnet-4-5", "end_turn"),
        (GEMINI, None, "gemini-2.5-pro", "STOP"),
    ],
    ids=["chat", "completion", "responses", "anthropic", "gemini"],
)
def test_every_providers_reply_is_read(
    reply: dict[str, Any], id_: str | None, model: str, finish_reason: str | None
) -> None:
    read = read_reply(reply)
    assert (read.id, read.model, read.finish_reason) == (id_, model, finish_reason)
    assert read.completion == "Hi!"
    assert (read.error, read.has_error_key) == (None, False)
    if reply is not TEXT_COMPLETION:
        assert read.usage is not None
        assert (read.usage.input_tokens, read.usage.output_tokens) == (3, 2)


def a_chat(message: Any) -> dict[str, Any]:
    return {"choices": [{"message": message}]}


@pytest.mark.parametrize(
    ("reply", "completion"),
    [
        (a_chat({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}), None),
        (a_chat({"content": ""}), ""),
        (
            a_chat({"content": [{"type": "text", "text": "a"}, {"type": "refusal"}, {"type": "text", "text": "b"}]}),
            "ab",
        ),
        (a_chat({}), None),
        (a_chat(None), None),
        ({"choices": []}, None),
        ({"choices": [None, {"text": "second"}]}, None),
        ({"choices": [{"text": "first"}, {"text": "second"}]}, "first"),
        ({"type": "message", "content": []}, None),
        ({"type": "message", "content": "whole"}, "whole"),
        ({"candidates": [{"content": {"parts": []}}]}, None),
        ({"candidates": [{}]}, None),
        ({"output": []}, None),
        ({"output": "text"}, None),
        ({"object": "list", "data": [{"embedding": [0.1]}]}, None),
    ],
)
def test_the_completion_is_the_text_of_the_first_answer(reply: dict[str, Any], completion: str | None) -> None:
    assert read_reply(reply).completion == completion


@pytest.mark.parametrize(
    ("reply", "error", "has_key"),
    [
        ({"error": {"message": "no", "type": "t"}}, "no", True),
        ({"error": {"code": 1}}, None, True),
        ({"error": "no"}, "no", True),
        ({"error": ""}, None, True),
        ({"error": None}, None, False),
        ({"message": "no", "type": "invalid_request_error", "param": None, "code": None}, "no", False),
        ({"message": "no", "code": 404}, "no", False),
        ({"message": "a text of some other kind"}, None, False),
        ({"message": {"role": "assistant"}, "type": "x"}, None, False),
    ],
)
def test_an_error_is_the_replys_own_or_the_reply_is_the_inner_error(
    reply: dict[str, Any], error: str | None, has_key: bool
) -> None:
    read = read_reply(reply)
    assert (read.error, read.has_error_key) == (error, has_key)


STREAM = (
    'data: {"id":"chatcmpl-1","model":"gpt-4o","choices":[{"delta":{"content":"Hi"}}]}\n\n'
    'data: {"choices":[{"delta":{"content":"!"},"finish_reason":"stop"}]}\n\n'
    'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    "data: [DONE]\n\n"
)


def test_a_raw_stream_is_merged() -> None:
    read = read_reply(STREAM)
    assert (read.id, read.model, read.completion, read.finish_reason) == ("chatcmpl-1", "gpt-4o", "Hi!", "stop")
    assert read.usage is not None
    assert read.usage.input_tokens == 3


def test_an_error_in_a_stream_is_an_error() -> None:
    read = read_reply('event: error\ndata: {"type":"error","error":{"type":"overloaded","message":"busy"}}\n\n')
    assert (read.error, read.has_error_key) == ("busy", True)


@pytest.mark.parametrize(
    ("value", "is_stream"),
    [(STREAM, True), (": ping\n\n", True), (" \nevent: x", True), ("plain text", False), ({}, False), (None, False)],
)
def test_a_stream_is_told_by_its_form(value: Any, is_stream: bool) -> None:
    assert stream_in(value) == (value if is_stream else None)


@pytest.mark.parametrize("value", [None, [], "plain text", 5, True, [OPENAI_CHAT]])
def test_what_is_no_reply_says_nothing(value: Any) -> None:
    assert read_reply(value) is NO_REPLY == Reply()
    assert read_call(value) is NO_CALL == Call()


@pytest.mark.parametrize(
    ("request_", "prompt"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a\nb"),
        ({"messages": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"text": "b"}]}]}, "a\nb"),
        ({"system": "s", "messages": [{"content": "a"}]}, "s\na"),
        ({"system": [{"type": "text", "text": "s"}], "messages": [{"content": "a"}]}, "s\na"),
        ({"instructions": "i", "input": "a"}, "i\na"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}, "a"),
        ({"prompt": "a"}, "a"),
        ({"prompt": ["a", "b"]}, "a\nb"),
        ({"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"parts": [{"text": "a"}]}]}, "s\na"),
        ({"system_instruction": {"parts": {"text": "s"}}, "contents": "a"}, "s\na"),
        ({"messages": [{"content": None}, {"content": ""}]}, ""),
        ({"messages": []}, None),
        ({"messages": None, "prompt": "a"}, "a"),
        ({"messages": [[1, 2], 5, None]}, None),
        ({}, None),
    ],
)
def test_the_prompt_is_the_system_prompt_and_the_texts_of_the_messages_in_order(
    request_: dict[str, Any], prompt: str | None
) -> None:
    assert read_call(request_).prompt == prompt


def test_a_request_tells_what_was_asked_for() -> None:
    call = read_call(
        {"model": "gpt-4o", "stream": True, "user": "u", "service_tier": "flex", "speed": "fast", "metadata": {"a": 1}}
    )
    assert call == Call(
        model="gpt-4o", streamed=True, user="u", service_tier="flex", speed="fast", metadata={"a": 1}, prompt=None
    )


@pytest.mark.parametrize("value", [1, "true", None, [], {}])
def test_only_true_is_streamed(value: Any) -> None:
    assert not read_call({"stream": value}).streamed


def test_texts_of_another_type_say_nothing() -> None:
    odd = {"model": 5, "user": {}, "service_tier": [], "speed": True, "metadata": "m", "id": 7, "stop_reason": 1}
    assert read_call(odd) == Call()
    assert read_reply({"model": "", "id": 7, "modelVersion": 5, "stop_reason": 1}) == Reply()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ('{"a":1}', {"a": 1}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('" {\\"a\\":1} "', {"a": 1}),
        ('"{half"', "{half"),
        ('"plain"', "plain"),
        ('"[1]"', "[1]"),
        ("[1]", [1]),
        ("broken", None),
        ('"\\ud800"', None),
        (json.dumps(json.dumps({"a": "cut \ud83d"})), {"a": "cut \ufffd"}),
    ],
)
def test_a_payload_in_a_string_is_read_as_the_object_that_it_holds(text: str | None, value: Any) -> None:
    assert decoded(text) == value


@pytest.mark.parametrize(
    "inner",
    ['{"a":' * 300 + "1" + "}" * 300, '{"a":' + "9" * 400 + "}", '{"a":1e999}', '{"a":' + "[" * 900 + "]" * 900 + "}"],
    ids=["deep objects", "huge number", "huge exponent", "deep lists"],
)
def test_a_payload_in_a_string_has_the_limits_of_any_other(inner: str) -> None:
    assert decoded(json.dumps(inner)) == inner


def test_the_deepest_payload_that_is_accepted_can_be_read_through() -> None:
    inner = '{"messages":' + "[" * 63 + '"deep"' + "]" * 63 + "}"
    assert read_call(decoded(json.dumps(inner))).prompt == "deep"


KEYS = ["choices", "message", "content", "text", "parts", "output", "candidates", "error", "type", "messages", "input"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["message"])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)


@given(ANYTHING)
def test_any_value_at_all_is_read_without_an_error(value: Any) -> None:
    assert isinstance(read_call(value), Call)
    assert isinstance(read_reply(value), Reply)
    assert all(isinstance(text, str) for text in texts_in(value))
