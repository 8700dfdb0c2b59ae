"""Requests and replies in the words of Google's Gemini."""

from typing import Any

from deploy.demo.calls import Call, Failure
from deploy.demo.chat import messages

Json = dict[str, Any]

_ROLES = {"user": "user", "assistant": "model"}


def request(call: Call) -> Json:
    """What the application sent."""
    spoken = [message for message in messages(call) if message["role"] in _ROLES]
    return {
        "systemInstruction": {"parts": [{"text": call.session.system}]},
        "contents": [{"role": _ROLES[said["role"]], "parts": [{"text": said["content"]}]} for said in spoken],
        "generationConfig": {"temperature": 0.4, "maxOutputTokens": 1024},
    }


def reply(call: Call) -> Json:
    """What came back."""
    tokens = call.tokens
    content = {"role": "model", "parts": [{"text": call.exchange.answer}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": tokens.input,
            "candidatesTokenCount": tokens.output,
            "totalTokenCount": tokens.total,
            "cachedContentTokenCount": tokens.cached,
        },
        "modelVersion": call.model.served,
        "responseId": call.reply_id,
    }


def error(failure: Failure) -> Json:
    """The error of a call that failed."""
    return {"code": failure.status, "message": failure.message, "status": failure.type.upper()}
