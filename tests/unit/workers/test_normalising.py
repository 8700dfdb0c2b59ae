"""Every dialect's rules, as a table: what was sent, and what of it the row says."""

import json
from typing import Any

import msgspec
import pytest

from ledger.report import Kind
from ledger.request_log import RequestLog
from tests.support.builders import A_TIME
from tests.support.events import a_delivery, a_report, an_accepted, an_envelope, an_update, the_row
from workers.decoding import RejectCode, Rejected
from workers.normalising import Update, normalise

ACCEPTED_AT = an_envelope().accepted_at
ANTHROPIC = Kind.OPENPIPE_REPORT_ANTHROPIC
CHAT = {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "Hi!"}}]}

PEZZO: dict[str, Any] = {
    "metadata": {"provider": "OpenAI", "client": "pezzo-ts", "clientVersion": "0.4.18", "environment": "Production"},
    "request": {"timestamp": "2026-03-14T15:09:26.000Z", "body": {"model": "gpt-4o"}},
    "response": {"timestamp": "2026-03-14T15:09:27.500Z", "body": CHAT, "status": 200},
}


def openpipe(**fields: Any) -> RequestLog:
    return the_row(fields)


def anthropic(**fields: Any) -> RequestLog:
    return the_row(fields, ANTHROPIC)


def pezzo(**fields: Any) -> RequestLog:
    return the_row({**PEZZO, **fields}, Kind.PEZZO_REQUEST)


def pezzo_response(**fields: Any) -> RequestLog:
    return pezzo(response={"timestamp": "2026-03-14T15:09:27.500Z", **fields})


def entry(**fields: Any) -> RequestLog:
    return the_row({"model": "gpt-4o", **fields}, Kind.LOG_INSERT)


def request(**payload: Any) -> dict[str, Any]:
    return {"reqPayload": payload}


def reply(**payload: Any) -> dict[str, Any]:
    return {"respPayload": payload}


def shown(row: RequestLog, expected: dict[str, Any]) -> dict[str, Any]:
    """The named columns of the row."""
    return {name: dict(row.metadata) if name == "metadata" else getattr(row, name) for name in expected}


# --- what every row has from its envelope


@pytest.mark.parametrize("make", [openpipe, anthropic, pezzo, entry])
def test_a_row_is_where_and_when_its_envelope_says(make: Any) -> None:
    row, envelope = make(), an_envelope()
    assert (row.project, row.id, row.created_at) == (envelope.project, envelope.record_id, envelope.created_at)
    assert row.ingested_at == row.updated_at == envelope.accepted_at
    assert row.position == a_delivery().position
    assert row.price_version == envelope.price_version


def test_the_source_tells_the_api() -> None:
    sources = [make().source for make in (openpipe, anthropic, pezzo, entry)]
    assert sources == ["openpipe", "openpipe_anthropic", "pezzo", "log_entry"]


# --- OpenPipe

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


# --- Pezzo

BASE = {"environment": "Production", "client": "pezzo-ts", "clientVersion": "0.4.18"}
PEZZO_TABLE: list[tuple[RequestLog, dict[str, Any]]] = [
    (pezzo(), {"provider": "openai", "model_requested": "gpt-4o", "model_served": "gpt-4o-2024-08-06"}),
    (pezzo(), {"requested_at": A_TIME - 535, "received_at": A_TIME + 965, "duration_ms": 1500.0}),
    (pezzo(), {"status_code": 200, "is_error": False, "environment": "Production", "metadata": BASE}),
    (pezzo(metadata={**PEZZO["metadata"], "provider": "Azure"}), {"provider": "azure"}),
    (pezzo(metadata={}), {"provider": None, "environment": None, "metadata": {}}),
    (
        pezzo(properties={"client": "mine", "n": 1, "userId": "u"}, cacheEnabled=True),
        {"metadata": {**BASE, "client": "mine", "n": "1", "userId": "u", "cacheEnabled": "true"}, "user_id": "u"},
    ),
    (pezzo(properties={"environment": "mine"}), {"environment": "Production", "metadata": {**BASE, "environment": "mine"}}),  # noqa: E501
    (pezzo(cacheHit=True), {"cached": True}),
    (pezzo(cacheHit=None), {"cached": False}),
    (pezzo(request={"timestamp": "2026-03-14T15:09:26", "body": {"user": "u2", "stream": True}}),
     {"user_id": "u2", "streamed": True, "requested_at": A_TIME - 535}),
    (pezzo(request={"timestamp": "noon", "body": {}}), {"requested_at": ACCEPTED_AT}),
    (pezzo_response(body=CHAT, status=500), {"is_error": True, "status_code": 500}),
    (pezzo_response(body={"error": {"message": "no"}}, status=200), {"is_error": False, "error": "no"}),
    (pezzo_response(body={"error": {"message": "no"}}), {"is_error": True, "error": "no", "status_code": None}),
    (pezzo_response(body={"error": None}), {"is_error": True, "error": None}),
    (pezzo_response(), {"is_error": True, "error": None, "status_code": None}),
    (pezzo_response(body=None), {"is_error": True}),
    (pezzo_response(body=CHAT), {"is_error": False}),
    (pezzo_response(body={"message": "no", "type": "x"}, status=404), {"is_error": True, "error": "no"}),
    (pezzo_response(body={"controller": {}}, status=200), {"is_error": False, "input_tokens": None}),
    (pezzo_response(body={"usage": {"prompt_tokens": 1, "completion_tokens": 2}}), {"input_tokens": 1, "output_tokens": 2}),  # noqa: E501
    (pezzo(response=None), {"is_error": True, "received_at": None, "duration_ms": None}),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), PEZZO_TABLE)
def test_a_pezzo_report_says(row: RequestLog, expected: dict[str, Any]) -> None:
    assert shown(row, expected) == expected


def test_unknown_keys_of_every_level_are_kept_under_their_place() -> None:
    parts: dict[str, Any] = {name: {**PEZZO[name], "colour": name} for name in ("metadata", "request", "response")}
    bodies = pezzo(**parts, extra1=[1]).bodies
    assert bodies is not None
    assert bodies.extra is not None
    assert json.loads(bodies.extra) == {
        "extra1": [1],
        "metadata": {"colour": "metadata"},
        "request": {"colour": "request"},
        "response": {"colour": "response"},
    }


# --- Log entries

ENTRY_TABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"requested_at": ACCEPTED_AT, "received_at": None, "duration_ms": None, "status_code": None, "cached": False}),
    ({"duration": 1.5}, {"duration_ms": 1500.0}),
    ({"duration": 0}, {"duration_ms": 0.0}),
    ({"model": "claude-sonnet-4-5"}, {"provider": "anthropic", "model_requested": "claude-sonnet-4-5"}),
    ({"model": "unheard-of"}, {"provider": None}),
    ({"initiator": "user:12345"}, {"user_id": "user:12345"}),
    ({"description": ""}, {"description": ""}),
    ({"description": "d"}, {"description": "d"}),
    ({"metadata": {"a": 1, "b": {"c": None}, "session_id": "s"}},
     {"metadata": {"a": "1", "b": '{"c":null}', "session_id": "s"}, "session_id": "s"}),
    ({"cost": 0.000001}, {"cost_provided": 1_000_000}),
    ({"cost": 0}, {"cost_provided": 0}),
    ({"cost": None}, {"cost_provided": None}),
    ({"request_data": {"stream": True, "model": "other"}}, {"streamed": True, "model_requested": "gpt-4o"}),
    ({"response_data": CHAT}, {"model_served": "gpt-4o-2024-08-06", "provider_response_id": "chatcmpl-1"}),
    ({"response_data": {"error": {"message": "no"}}}, {"is_error": True, "error": "no"}),
    ({"response_data": {"error": None}}, {"is_error": False}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), ENTRY_TABLE, ids=lambda value: json.dumps(value)[:60])
def test_a_log_entry_says(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shown(entry(**body), expected) == expected


def test_the_media_of_an_entry_are_blobs_that_the_row_names() -> None:
    media = {"request": [{"type": "image", "data": "AAAA"}], "response": [{"type": "image", "data": "https://x/y"}]}
    report = a_report({"model": "m", "media": media}, kind=Kind.LOG_INSERT)
    row = report.derived.row
    assert row.bodies is not None
    assert row.bodies.media is not None
    assert [item["kind"] for item in json.loads(row.bodies.media)] == ["base64", "url"]
    assert row.media_hashes == tuple(blob.sha256 for blob in report.blobs)
    assert [blob.data for blob in report.blobs] == [bytes(3)]


# --- what is no report

INVALID: list[tuple[Kind, dict[str, Any]]] = [
    (Kind.OPENPIPE_REPORT, {"requestedAt": "noon"}),
    (Kind.OPENPIPE_REPORT, {"statusCode": []}),
    (Kind.OPENPIPE_REPORT_ANTHROPIC, {"receivedAt": {}}),
    (Kind.PEZZO_REQUEST, {"request": 5}),
    (Kind.PEZZO_REQUEST, {"response": {"status": "many"}}),
    (Kind.LOG_INSERT, {"duration": "1"}),
    (Kind.LOG_INSERT, {"duration": -1}),
    (Kind.LOG_INSERT, {"cost": True}),
    (Kind.LOG_INSERT, {"media": []}),
    (Kind.LOG_UPDATE, {"update_data": []}),
    (Kind.LOG_UPDATE, {"update_data": {"cost": -1}}),
    (Kind.LOG_UPDATE, {"update_data": {"media": {"request": [1]}}}),
    (Kind.LOG_UPDATE, {"update_data": {"media": 5}}),
]


@pytest.mark.parametrize(("kind", "body"), INVALID)
def test_what_the_api_refuses_is_rejected_without_its_values(kind: Kind, body: dict[str, Any]) -> None:
    outcome = normalise(an_accepted(body, kind=kind))
    assert isinstance(outcome, Rejected)
    assert outcome.code is RejectCode.BODY_INVALID
    assert outcome.detail.isidentifier(), "the name of the error, nothing that was sent"


def test_an_update_is_a_patch_with_the_text_of_its_fields() -> None:
    patch = an_update({"description": "d", "unknown": 1}, offset=5).patch
    accepted = an_accepted(kind=Kind.LOG_UPDATE)
    assert (patch.project, patch.id) == accepted.identity
    assert patch.position.offset == 5
    assert json.loads(patch.body) == {"description": "d", "unknown": 1}
    assert (patch.accepted_at, patch.price_version) == (ACCEPTED_AT, an_envelope().price_version)
    assert not patch.is_voided


@pytest.mark.parametrize("body", [{}, {"update_data": None}, {"update_data": {}}])
def test_an_update_without_fields_is_an_empty_patch(body: dict[str, Any]) -> None:
    outcome = normalise(an_accepted(body, kind=Kind.LOG_UPDATE))
    assert isinstance(outcome, Update)
    assert outcome.patch.body == "{}"


@pytest.mark.parametrize("make", [openpipe, anthropic, pezzo, entry])
def test_processing_twice_gives_the_same_row(make: Any) -> None:
    assert make() == make()
