"""A call as applications report it through Pezzo's API."""

from typing import Any

from deploy.demo.calls import Call, Streaming
from deploy.demo.providers import PROVIDERS
from ledger.clock import from_milliseconds

Json = dict[str, Any]

_STILL_STREAMING: Json = {"controller": {}}
"""What the client reports of a reply that is streamed: it does not wait for its end."""


def report(call: Call) -> Json:
    """As the JavaScript client does."""
    session = call.session
    return {
        "metadata": {
            "provider": call.model.vendor,
            "client": "pezzo-ts",
            "clientVersion": "0.4.18",
            "environment": session.environment.capitalize(),
            "type": "ChatCompletion",
            "promptId": session.scene.name,
        },
        "properties": {"userId": session.user, "sessionId": session.id, "turn": call.turn},
        "cacheEnabled": call.from_cache,
        "cacheHit": True if call.from_cache else None,
        "request": {"timestamp": _iso(call.requested_at), "body": PROVIDERS[call.model.shape].request(call)},
        "response": {"timestamp": _iso(call.received_at)} | _response(call),
    }


def _response(call: Call) -> Json:
    provider = PROVIDERS[call.model.shape]
    if call.failure is None:
        streams = call.streaming is Streaming.RAW
        return {"body": _STILL_STREAMING if streams else provider.reply(call), "status": 200}
    if call.failure.status is None:
        return {}
    return {"body": provider.error(call.failure), "status": call.failure.status}


def _iso(ms: int) -> str:
    return from_milliseconds(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
