"""Requests and replies in the words of Anthropic's messages. Its input count leaves out what its cache held."""

from typing import Any

from deploy.demo.calls import Call, Failure, Streaming
from deploy.demo.chat import messages
from deploy.demo.models import Dialect
from deploy.demo.server_sent import named, pieces_of

Json = dict[str, Any]


def request(call: Call) -> Json:
    """What the application sent."""
    system = {"type": "text", "text": call.session.system, "cache_control": {"type": "ephemeral"}}
    body: Json = {
        "model": call.model.name,
        "max_tokens": 2048,
        "system": [system],
        "messages": [message for message in messages(call) if message["role"] != "system"],
    }
    if call.model.dialect is Dialect.OPENPIPE_ANTHROPIC:
        body["metadata"] = {"user_id": call.session.user}
    if call.streaming is not Streaming.WHOLE:
        body["stream"] = True
    return body


def reply(call: Call) -> Json:
    """What came back, whole or merged from a stream."""
    return {
        "id": f"msg_{call.reply_id}",
        "type": "message",
        "role": "assistant",
        "model": call.model.served,
        "content": [{"type": "text", "text": call.exchange.answer}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _NO_USAGE if call.from_cache else _usage(call),
    }


def stream(call: Call) -> str:
    """The raw events of a streamed reply."""
    started = reply(call) | {"content": [], "stop_reason": None}
    started["usage"] = _usage(call) | {"output_tokens": 1}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        for piece in pieces_of(call.exchange.answer)
    ]
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    return named(
        [
            {"type": "message_start", "message": started},
            block,
            *deltas,
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": call.tokens.output}},
            {"type": "message_stop"},
        ]
    )


def error(failure: Failure) -> Json:
    """The error of a call that failed."""
    return {"type": failure.type, "message": failure.message}


_NO_USAGE = {"input_tokens": 0, "output_tokens": 0}


def _usage(call: Call) -> Json:
    tokens = call.tokens
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.stored,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.stored,
        "output_tokens": tokens.output,
    }
