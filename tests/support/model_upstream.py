"""A stand-in for the model provider: the OpenAI chat API on loopback, with answers that never change.

The request alone decides the answer: `model` whether it exists, `tools` what is said, `stream` and `stream_options`
how it is said. Nothing is random and nothing is dated, so a test can compare a whole stored body.
"""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNKNOWN_MODEL = "gpt-4o-missing"
"""The one model that this provider does not have: asking for it is answered with 404."""

TEXT = "1, 2, 3"
SERVED_MODEL = "gpt-4o-2024-08-06"
USAGE: Mapping[str, Any] = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
MODEL_NOT_FOUND: Mapping[str, Any] = {
    "message": f"The model `{UNKNOWN_MODEL}` does not exist or you do not have access to it.",
    "type": "invalid_request_error",
    "param": None,
    "code": "model_not_found",
}
_POLL_SECONDS = 0.02  # how long the end of a test waits for the server to notice it
_WEATHER_OF = (("call_1", '{"city":"SF"}'), ("call_2", '{"city":"LA"}'))


def completion(*, tools: bool) -> dict[str, Any]:
    """The whole reply to a request without `stream`: two tool calls and no text if tools were offered, else text."""
    message: dict[str, Any] = {"role": "assistant", "content": None if tools else TEXT}
    if tools:
        message["tool_calls"] = [_tool_call(call_id, arguments) for call_id, arguments in _WEATHER_OF]
    choice = {"index": 0, "message": message | {"refusal": None, "annotations": []}, "logprobs": None}
    return {
        "id": f"chatcmpl-stub-{_kind(tools)}",
        "object": "chat.completion",
        "created": 1700000000,
        "model": SERVED_MODEL,
        "choices": [choice | {"finish_reason": "tool_calls" if tools else "stop"}],
        "usage": dict(USAGE),
        "service_tier": "default",
        "system_fingerprint": "fp_stub",
    }


def chunks(*, tools: bool, include_usage: bool) -> list[dict[str, Any]]:
    """The same reply in pieces. Usage comes in a last chunk without choices, and only when it was asked for."""
    envelope: dict[str, Any] = {
        "id": f"chatcmpl-stub-{_kind(tools)}-stream",
        "object": "chat.completion.chunk",
        "created": 1700000001,
        "model": SERVED_MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_stub",
    }
    deltas = _tool_deltas() if tools else _text_deltas()
    finish_reasons: list[str | None] = [None] * len(deltas) + ["tool_calls" if tools else "stop"]
    told: list[dict[str, Any]] = [
        envelope | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]}
        for delta, finish_reason in zip([*deltas, {}], finish_reasons, strict=True)
    ]
    if include_usage:
        return [chunk | {"usage": None} for chunk in told] + [envelope | {"choices": [], "usage": dict(USAGE)}]
    return told


@contextmanager
def running_model_upstream() -> Iterator[str]:
    """Serve until the block ends; gives the base URL for an OpenAI client, `/v1` included."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _ChatCompletions)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="model-upstream")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def refused_url() -> Iterator[str]:
    """A base URL where every connection is refused while the block runs.

    The port is bound and not listened on, so no other process can take it meanwhile.
    """
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    pieces: tuple[bytes, ...]


def _answer_to(path: str, body: Mapping[str, Any]) -> _Answer:
    if path != "/v1/chat/completions":
        return _as_json(404, {"error": {"message": f"Unknown path {path}", "type": "invalid_request_error"}})
    if body["model"] == UNKNOWN_MODEL:
        return _as_json(404, {"error": MODEL_NOT_FOUND})
    tools = bool(body.get("tools"))
    if not body.get("stream"):
        return _as_json(200, completion(tools=tools))
    include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    events = [json.dumps(chunk) for chunk in chunks(tools=tools, include_usage=include_usage)] + ["[DONE]"]
    return _Answer(200, "text/event-stream", tuple(f"data: {event}\n\n".encode() for event in events))


def _as_json(status: int, value: Mapping[str, Any]) -> _Answer:
    return _Answer(status, "application/json", (json.dumps(value).encode(),))


def _kind(tools: bool) -> str:
    return "tools" if tools else "text"


def _text_deltas() -> list[dict[str, Any]]:
    opening = {"role": "assistant", "content": "", "refusal": None}
    return [opening, *({"content": piece} for piece in ("1", ", 2", ", 3"))]


def _tool_deltas() -> list[dict[str, Any]]:
    """Every call opens with its name and no arguments; the arguments follow, as the provider streams them."""
    opening: list[dict[str, Any]] = [{"role": "assistant", "content": None}, {}]
    deltas: list[dict[str, Any]] = []
    for index, (call_id, arguments) in enumerate(_WEATHER_OF):
        deltas.append(opening[index] | {"tool_calls": [{"index": index, **_tool_call(call_id, "")}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
    return deltas


def _tool_call(call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


class _ChatCompletions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer in chunks, one for each event: a client sees a stream arrive in pieces, not as one body."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = _answer_to(self.path, body)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (*answer.pieces, b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a test's output is for what failed."""
