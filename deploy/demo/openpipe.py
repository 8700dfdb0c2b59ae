"""A call as applications report it through OpenPipe's API."""

from typing import Any

from deploy.demo import anthropic, chat
from deploy.demo.calls import Call, Streaming

Json = dict[str, Any]


def report(call: Call) -> Json:
    """As the JavaScript client does: the inner error object, the message with the status before it, no nulls."""
    failure = call.failure
    body = _times(call) | {
        "reqPayload": chat.request(call),
        "tags": _tags(call) | {"environment": call.session.environment, "$sdk": "typescript", "$sdk.version": "1.0.0"},
    }
    if failure is None:
        reply = chat.stream(call) if call.streaming is Streaming.RAW else chat.reply(call)
        return body | {"respPayload": reply, "statusCode": 200}
    if failure.status is None:
        return body | {"errorMessage": failure.message}
    message = f"{failure.status} {failure.message}"
    return body | {"respPayload": chat.error(failure), "statusCode": failure.status, "errorMessage": message}


def anthropic_report(call: Call) -> Json:
    """As the Python client does: what is not there is null, and a failed call has no reply."""
    failure = call.failure
    reply: Json | str | None = None
    if failure is None:
        reply = anthropic.stream(call) if call.streaming is Streaming.RAW else anthropic.reply(call)
    return _times(call) | {
        "reqPayload": anthropic.request(call),
        "respPayload": reply,
        "statusCode": call.status,
        "errorMessage": failure.message if failure else None,
        "tags": {"$sdk": "python", "$sdk.version": "5.0.0"},
        "metadata": _tags(call) | {"env": call.session.environment},
    }


def _times(call: Call) -> Json:
    return {"requestedAt": call.requested_at, "receivedAt": call.received_at}


def _tags(call: Call) -> Json:
    session = call.session
    return {"prompt_id": session.scene.name, "session_id": session.id, "user_id": session.user, "turn": call.turn}
