"""Requests and replies in the words of OpenAI's chat completions, which many providers share."""

import json
from typing import Any

from deploy.demo.calls import Call, Failure, Streaming
from deploy.demo.models import Dialect
from deploy.demo.prose import Exchange
from deploy.demo.server_sent import data_only, pieces_of

Json = dict[str, Any]

_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up_order",
        "description": "The state of an order.",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
    },
}


def request(call: Call) -> Json:
    """What the application sent."""
    body: Json = {"model": call.model.name, "messages": messages(call), "temperature": 0.2}
    if call.model.reasons:
        body = {"model": call.model.name, "messages": messages(call), "reasoning_effort": "medium"}
    if call.calls_a_tool:
        body["tools"] = [_TOOL]
    if call.streaming is not Streaming.WHOLE:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if call.model.dialect is Dialect.OPENPIPE:
        body["user"] = call.session.user
    return body


def messages(call: Call) -> list[Json]:
    """The conversation up to the question."""
    return [
        {"role": "system", "content": call.session.system},
        *(message for said in call.earlier for message in _both(said)),
        {"role": "user", "content": call.exchange.question},
    ]


def reply(call: Call) -> Json:
    """What came back, whole or merged from a stream."""
    return {
        "id": f"chatcmpl-{call.reply_id}",
        "object": "chat.completion",
        "created": call.requested_at // 1000,
        "model": call.model.served,
        "choices": [{"index": 0, "message": _message(call), "logprobs": None, "finish_reason": _finish_reason(call)}],
        "usage": _NO_USAGE if call.from_cache else usage(call),
        "service_tier": "default",
        "system_fingerprint": f"fp_{call.reply_id[:10]}",
    }


def stream(call: Call) -> str:
    """The raw events of a streamed reply."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in pieces_of(call.exchange.answer)]
    chunks = [_chunk(call, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    chunks.append(_chunk(call, [{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    chunks.append(_chunk(call, []) | {"usage": usage(call)})
    return data_only(chunks) + "data: [DONE]\n\n"


def error(failure: Failure) -> Json:
    """The error of a call that failed."""
    return {"message": failure.message, "type": failure.type, "param": None, "code": None}


def usage(call: Call) -> Json:
    """The counts, with their details."""
    tokens = call.tokens
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _both(said: Exchange) -> tuple[Json, Json]:
    return {"role": "user", "content": said.question}, {"role": "assistant", "content": said.answer}


def _message(call: Call) -> Json:
    if not call.calls_a_tool:
        return {"role": "assistant", "content": call.exchange.answer, "refusal": None, "annotations": []}
    function = {"name": "look_up_order", "arguments": json.dumps({"order": int(call.reply_id[:4], 16)})}
    tool_call = {"id": f"call_{call.reply_id}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [tool_call], "refusal": None, "annotations": []}


def _finish_reason(call: Call) -> str:
    return "tool_calls" if call.calls_a_tool else "stop"


def _chunk(call: Call, choices: list[Json]) -> Json:
    return {
        "id": f"chatcmpl-{call.reply_id}",
        "object": "chat.completion.chunk",
        "created": call.requested_at // 1000,
        "model": call.model.served,
        "choices": choices,
    }
