"""What was sent to the OpenPipe API, and what of it the row says."""

import json
from typing import Any

import msgspec
import pytest

from tests.support.dialect_rows import ACCEPTED_AT, CHAT, anthropic, openpipe, shown
from tests.support.events import the_row


def request(**payload: Any) -> dict[str, Any]:
    return {"reqPayload": payload}


def reply(**payload: Any) -> dict[str, Any]:
    return {"respPayload": payload}


OPENPIPE_TABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # times
    ({}, {"requested_at": ACCEPTED_AT, "received_at": None, "duration_ms": None}),
    (
        {"requestedAt": 1726000000000, "receivedAt": 1726000001500},
        {"requested_at": 1726000000000, "received_at": 1726000001500, "duration_ms": 1500.0},
    ),
    (
        {"requestedAt": 1726000000, "receivedAt": "1726000001.5"},
        {"requested_at": 1726000000000, "received_at": 1726000001500, "duration_ms": 1500.0},
    ),
    ({"requestedAt": 2000000000000, "receivedAt": 1900000000000}, {"duration_ms": None}),
    ({"requestedAt": 1726000000000, "receivedAt": 1726000000000}, {"duration_ms": 0.0}),
    ({"requestedAt": None, "receivedAt": ""}, {"requested_at": ACCEPTED_AT, "received_at": None}),
    ({"requestedAt": 0}, {"requested_at": ACCEPTED_AT}),
    ({"requestedAt": -5}, {"requested_at": ACCEPTED_AT}),
    ({"requestedAt": 1e300}, {"requested_at": ACCEPTED_AT}),
    # status and error
    ({}, {"status_code": None, "is_error": False, "error": None}),
    ({"statusCode": 200}, {"status_code": 200, "is_error": False}),
    ({"statusCode": "201"}, {"status_code": 201, "is_error": False}),
    ({"statusCode": None}, {"status_code": None, "is_error": False}),
    ({"statusCode": 0}, {"status_code": 0, "is_error": True}),
    ({"statusCode": 2**40}, {"status_code": None}),
    ({"statusCode": 200.5}, {"status_code": None}),
    ({"statusCode": 404}, {"status_code": 404, "is_error": True, "error": None}),
    ({"statusCode": 301}, {"is_error": True}),
    ({"statusCode": 200, "errorMessage": "odd"}, {"is_error": True, "error": "odd"}),
    ({"statusCode": 200, **reply(error={"message": "no"})}, {"is_error": False, "error": "no"}),
    ({"errorMessage": "Connection error."}, {"is_error": True, "error": "Connection error.", "status_code": None}),
    ({"errorMessage": ""}, {"is_error": False, "error": None}),
    ({"errorMessage": None, **reply(error={"message": "no"})}, {"is_error": True, "error": "no"}),
    (reply(error={"code": 1}), {"is_error": True, "error": None}),
    (reply(error=None), {"is_error": False, "error": None}),
    ({"errorMessage": "said", **reply(error={"message": "inner"})}, {"error": "said"}),
    (
        {"statusCode": 404, **reply(message="The model does not exist", type="invalid_request_error", code="x")},
        {"is_error": True, "error": "The model does not exist"},
    ),
    # model and provider
    ({}, {"provider": "openai", "model_requested": None, "model_served": None}),
    (request(model="gpt-4o"), {"provider": "openai", "model_requested": "gpt-4o"}),
    (request(model="claude-3-5-sonnet"), {"provider": "openai"}),
    (request(model="anthropic/claude-3.5-sonnet"), {"provider": "anthropic"}),
    (request(model="gemini:gemini-2.5-pro"), {"provider": "google"}),
    (request(model="openpipe:mine"), {"provider": "openpipe"}),
    (request(model=5), {"model_requested": None}),
    (request(wrapped={"model": "gpt-4o"}), {"model_requested": None}),
    (reply(model="gpt-4o-2024-08-06"), {"model_served": "gpt-4o-2024-08-06"}),
    (reply(modelVersion="gemini-2.5-pro"), {"model_served": "gemini-2.5-pro"}),
    (reply(id="chatcmpl-1"), {"provider_response_id": "chatcmpl-1"}),
    (reply(id=17), {"provider_response_id": None}),
    # streaming
    (request(stream=True), {"streamed": True, "cached": False}),
    (request(stream="true"), {"streamed": False}),
    # user
    (request(user="u1"), {"user_id": "u1"}),
    (request(user="u1", metadata={"user_id": "u2"}), {"user_id": "u1"}),
    (request(metadata={"user_id": "u2"}), {"user_id": "u2", "metadata": {"user_id": "u2"}}),
    ({"tags": {"userId": "u3", "user_id": "u4"}}, {"user_id": "u3"}),
    ({"tags": {"user_id": "u4"}}, {"user_id": "u4"}),
    ({**request(metadata={"user_id": "u2"}), "tags": {"userId": "u3"}}, {"user_id": "u2"}),
    (request(user="", metadata={"user_id": None}), {"user_id": None}),
    # metadata
    (
        {**request(metadata={"a": "1", "b": "1", "c": "1"}), "tags": {"b": "2", "c": "2"}, "metadata": {"c": "3"}},
        {"metadata": {"a": "1", "b": "2", "c": "3"}},
    ),
    ({"tags": {"n": 1, "f": 1.5, "t": True, "nothing": None, "empty": "", "text": "null"}},
     {"metadata": {"n": "1", "f": "1.5", "t": "true", "text": "null"}}),
    ({"tags": {"prompt id": "x", "$sdk.version": "1"}}, {"metadata": {"prompt_id": "x", "$sdk.version": "1"}}),
    ({**request(metadata={"a": {"b": [1]}, "c": [None]})}, {"metadata": {"a": '{"b":[1]}', "c": "[null]"}}),
    (request(metadata="no object"), {"metadata": {}}),
    ({"tags": {"a": None}, **request(metadata={"a": "kept"})}, {"metadata": {"a": "kept"}}),
    ({"tags": {"session_id": "s", "sessionId": "t"}}, {"session_id": "s"}),
    ({"tags": {"sessionId": "t", "traceId": "x", "trace_id": "y"}}, {"session_id": "t", "trace_id": "x"}),
    ({"tags": {"environment": "prod", "env": "dev"}}, {"environment": "prod"}),
    ({"tags": {"env": "dev"}}, {"environment": "dev"}),
    # payloads
    (reply(**CHAT), {"completion_preview": "Hi!", "provider_response_id": "chatcmpl-1"}),
    (reply(choices=[{"message": {"content": None, "tool_calls": [{}]}}]), {"completion_preview": None}),
    (request(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]), {"prompt_preview": "s\nu"}),  # noqa: E501
    (
        reply(usage={"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}),
        {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15, "cache_read_tokens": None},
    ),
    (reply(usage={}), {"input_tokens": None, "output_tokens": None, "total_tokens": None}),
    (
        {**request(service_tier="auto"), **reply(service_tier="flex")},
        {"service_tier": "flex"},
    ),
    (request(service_tier="auto"), {"service_tier": "auto"}),
    (reply(choices=[{"finish_reason": "length"}]), {"finish_reason": "length"}),
    ({"reqPayload": '{"model":"gpt-4o","stream":true}'}, {"model_requested": "gpt-4o", "streamed": True}),
    ({"reqPayload": None, "respPayload": None}, {"model_requested": None, "is_error": False}),
    ({"reqPayload": [1], "respPayload": "plain"}, {"model_requested": None, "completion_preview": None}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), OPENPIPE_TABLE, ids=lambda value: json.dumps(value)[:60])
def test_an_openpipe_report_says(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shown(openpipe(**body), expected) == expected


def test_an_anthropic_report_is_anthropics_whatever_its_model() -> None:
    row = anthropic(
        requestedAt=1726000000000,
        reqPayload={"model": "claude-sonnet-4-5", "system": "s", "messages": [{"content": "a"}]},
        respPayload={
            "id": "msg_1",
            "type": "message",
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "b"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 10, "output_tokens": 2},
        },
        metadata={"$sdk": "python"},
    )
    assert (row.provider, row.model_served) == ("anthropic", "claude-sonnet-4-5-20250929")
    assert (row.prompt_preview, row.completion_preview, row.finish_reason) == ("s\na", "b", "end_turn")
    assert (row.input_tokens, row.cache_read_tokens, row.output_tokens) == (15, 10, 2)
    assert dict(row.metadata) == {"$sdk": "python"}


def test_payloads_are_kept_byte_for_byte() -> None:
    sent = b'{ "reqPayload" : {"model":"gpt-4o" , "n":1.50,"s":"\\u00e4"}, "respPayload":[ 1,2 ]}'
    bodies = the_row(sent).bodies
    assert bodies is not None
    assert bodies.raw_request == '{"model":"gpt-4o" , "n":1.50,"s":"\\u00e4"}'
    assert bodies.raw_response == "[ 1,2 ]"
    assert bodies.extra is None


def test_what_was_not_sent_is_not_kept_as_anything() -> None:
    bodies = openpipe(reqPayload=None).bodies
    assert bodies is not None
    assert (bodies.raw_request, bodies.raw_response, bodies.raw_stream) == (None, None, None)
    assert (bodies.prompt, bodies.completion, bodies.media) == (None, None, None)


def test_unknown_keys_and_times_in_seconds_are_kept_beside() -> None:
    bodies = the_row(b'{"requestedAt":1726000000.50,"receivedAt":1726000001000,"colour":{"a": 1}}').bodies
    assert bodies is not None
    assert bodies.extra == '{"colour":{"a": 1},"requestedAt":1726000000.50}'


def test_a_raw_stream_is_kept_as_text_and_read() -> None:
    stream = 'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: {"choices":[{"delta":{"content":"!"}}]}\n\n'
    row = openpipe(respPayload=stream)
    assert row.bodies is not None
    assert (row.bodies.raw_stream, row.bodies.completion) == (stream, "Hi!")
    assert row.bodies.raw_response == msgspec.json.encode(stream).decode()


def test_previews_are_the_beginning_of_the_texts() -> None:
    row = openpipe(**request(prompt="p" * 1000), **reply(choices=[{"text": "c" * 1000}]))
    assert row.bodies is not None
    assert (row.prompt_preview, row.completion_preview) == ("p" * 200, "c" * 200)
    assert (row.bodies.prompt, row.bodies.completion) == ("p" * 1000, "c" * 1000)
