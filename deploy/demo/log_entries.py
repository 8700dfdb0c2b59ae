"""A call as applications insert it as a log entry, and what they change of the entry later."""

from typing import Any

from deploy.demo import images
from deploy.demo.calls import Call
from deploy.demo.models import Shape
from deploy.demo.providers import PROVIDERS

Json = dict[str, Any]

_UPDATED_EVERY = 4  # entries
_COST_EVERY = 3  # updates
_RATINGS = 5


def entry(call: Call) -> Json:
    """The entry as it is inserted."""
    provider = PROVIDERS[call.model.shape]
    failure = call.failure
    told: Json = {
        "model": call.model.name,
        "duration": call.duration_ms / 1000,
        "initiator": call.session.user,
        "description": f"{call.session.scene.name}, question {call.turn}",
        "request_data": provider.request(call),
        "response_data": {"error": provider.error(failure)} if failure else provider.reply(call),
        "metadata": _metadata(call) | {"client_version": "2.3.1"},
    }
    return told | _media(call)


def changes(call: Call) -> Json | None:
    """What was found out later about one entry in a few: what it really cost, or what somebody thought of it."""
    number = int(call.reply_id, 16)
    if number % _UPDATED_EVERY:
        return None
    number //= _UPDATED_EVERY
    if number % _COST_EVERY == 0:
        return {"cost": round(0.0004 + call.tokens.total * 2e-6, 6)}
    rated = _metadata(call) | {"rating": 1 + number % _RATINGS}
    return {"description": f"{call.session.scene.name}, checked by hand", "metadata": rated}


def _metadata(call: Call) -> Json:
    return {"session_id": call.session.id, "environment": call.session.environment}


def _media(call: Call) -> Json:
    picture = images.picture(call.reply_id)
    if call.model.sees:
        photo = {"type": "image", "title": "Photo of the parcel", "data": f"data:image/png;base64,{picture}"}
        return {"media": {"request": [photo]}}
    if call.model.shape is Shape.IMAGE and call.failure is None:
        thumbnail = {"type": "image", "title": "Thumbnail", "data": picture}
        link = {"type": "image", "title": "Full size", "data": f"https://images.example.com/{call.reply_id}.png"}
        return {"media": {"response": [thumbnail, link]}}
    return {}
