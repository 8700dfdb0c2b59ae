"""Bodies of every API that writes, each with what the product must show of it, computed here and not by the product."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from deploy.demo.images import picture
from tests.faults.sent import DELETE, UPDATE, payload_sha

USD_PER_TOKEN: Mapping[str, tuple[Decimal, Decimal]] = {
    "gpt-4o-mini": (Decimal("0.00000015"), Decimal("0.0000006")),
    "claude-haiku-4-5": (Decimal("0.000001"), Decimal("0.000005")),
}
"""What a token of input and one of output cost, by the providers' price lists of 2026."""

UNPRICED = "house-model-7"
PATHS: Mapping[str, str] = {
    "openpipe": "/api/v1/report",
    "anthropic": "/api/v1/report-anthropic",
    "pezzo": "/api/reporting/v2/request",
    "log": "/api/logs/insert",
    UPDATE: "/api/logs/update",
    DELETE: "/api/v1/admin/delete",
}
REPORTS = ("openpipe", "anthropic", "pezzo", "log")
BATCH_PATH = "/api/v1/reports"
_KINDS: Mapping[str, str] = {
    "openpipe": "openpipe.report",
    "anthropic": "openpipe.report-anthropic",
    "pezzo": "pezzo.request",
    "log": "log.insert",
    UPDATE: "log.update",
}

_WORDS = ("parcel", "invoice", "refund", "window", "ticket", "answer", "morning", "server", "price", "river", "copper")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to be sent, as often as it takes."""

    api: str
    tag: str
    body: bytes
    body_sha: str
    expects: Mapping[str, Any] = field(default_factory=dict)
    record_id: str | None = None  # of an update or a deletion

    @property
    def path(self) -> str:
        """Where it is posted."""
        return PATHS[self.api]


def item(prepared: Prepared, idempotency_key: str | None) -> bytes:
    """The request as an item of a batch."""
    start = json.dumps({"kind": _KINDS[prepared.api], "idempotency_key": idempotency_key})
    return start[:-1].encode() + b', "body": ' + prepared.body + b"}"


def report(api: str, tag: str, random: Random, *, media: bool = False) -> Prepared:
    """A report of an invented call through this API, 1-3 KB, recognised by its tag."""
    model = "claude-haiku-4-5" if api == "anthropic" else random.choice(("gpt-4o-mini", "gpt-4o-mini", UNPRICED))
    tokens = random.randint(1, 5000), random.randint(1, 2000)
    request, response = _PAYLOADS[api](model, tag, tokens, random)
    small = {"media": {"response": [_image(tag, random)]}} if media and api == "log" else {}
    body = _BODIES[api](model, tag, request, response, small)
    expects = {
        "model": model,
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "cost": cost_of(model, *tokens),
    }
    return Prepared(api, tag, body.encode(), payload_sha(request, response), expects)


def update(record_id: str, tag: str, number: int, random: Random) -> Prepared:
    """The number-th update of a log entry: `metadata.n` tells the number, other fields change now and then."""
    fields: dict[str, Any] = {"metadata": {"n": str(number), "by": tag}}
    if random.random() < 0.4:
        fields["cost"] = random.randint(1, 10**6) / 10**6
    if random.random() < 0.4:
        fields["description"] = f"checked {tag}"
    if random.random() < 0.2:
        fields["response_data"] = json.loads(_chat_reply("gpt-4o-mini", tag, (1, random.randint(1, 900)), random))
    return update_with(record_id, tag, fields)


def update_with(record_id: str, tag: str, fields: Mapping[str, Any]) -> Prepared:
    """An update that sets these fields."""
    body = _text({"id": record_id, "update_data": fields})
    return Prepared(UPDATE, tag, body.encode(), payload_sha(body, ""), {"fields": dict(fields)}, record_id)


def deletion(record_id: str, tag: str, project: str, user_id: str | None = None) -> Prepared:
    """A deletion of this record: by its id, or by the user whose only record it is."""
    what = {"id": record_id} if user_id is None else {"user_id": user_id}
    body = _text({**what, "project": project})
    return Prepared(DELETE, tag, body.encode(), payload_sha(body, ""), what, record_id)


def cost_of(model: str | None, input_tokens: int, output_tokens: int) -> str | None:
    """USD as decimal text; None for a model without a price."""
    if model is None or model not in USD_PER_TOKEN:
        return None
    of_input, of_output = USD_PER_TOKEN[model]
    return f"{of_input * input_tokens + of_output * output_tokens:f}"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _prose(random: Random) -> str:
    return " ".join(random.choices(_WORDS, k=random.randint(40, 160)))


def _chat_request(model: str, tag: str, random: Random) -> str:
    return _text({"model": model, "user": tag, "messages": [{"role": "user", "content": _prose(random)}]})


def _chat_reply(model: str, tag: str, tokens: tuple[int, int], random: Random) -> str:
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    choice = {"index": 0, "message": {"role": "assistant", "content": _prose(random)}, "finish_reason": "stop"}
    return _text({"id": f"chatcmpl-{tag}", "model": model, "choices": [choice], "usage": usage})


def _chat(model: str, tag: str, tokens: tuple[int, int], random: Random) -> tuple[str, str]:
    return _chat_request(model, tag, random), _chat_reply(model, tag, tokens, random)


def _messages(model: str, tag: str, tokens: tuple[int, int], random: Random) -> tuple[str, str]:
    asked = {"role": "user", "content": _prose(random)}
    request = {"model": model, "max_tokens": 1024, "messages": [asked], "metadata": {"user_id": tag}}
    said = {"type": "text", "text": _prose(random)}
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    reply = {"id": f"msg_{tag}", "type": "message", "role": "assistant", "model": model, "content": [said]}
    return _text(request), _text(reply | {"stop_reason": "end_turn", "usage": usage})


def _openpipe(model: str, tag: str, request: str, response: str, small: Mapping[str, Any]) -> str:
    now = int(datetime.now(UTC).timestamp() * 1000)
    head = _text({"requestedAt": now - 900, "receivedAt": now, "statusCode": 200, "tags": {"tag": tag}, **small})
    return f'{head[:-1]},"reqPayload":{request},"respPayload":{response}}}'


def _pezzo(model: str, tag: str, request: str, response: str, small: Mapping[str, Any]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"provider": "OpenAI", "client": "faults", "clientVersion": "1", "environment": "Test"}
    head = _text({"metadata": said, "properties": {"userId": tag}, **small})
    parts = f'"request":{{"timestamp":"{now}","body":{request}}}'
    return f'{head[:-1]},{parts},"response":{{"timestamp":"{now}","status":200,"body":{response}}}}}'


def _log(model: str, tag: str, request: str, response: str, small: Mapping[str, Any]) -> str:
    said = {"model": model, "duration": 1.5, "initiator": tag, "description": "as sent", "metadata": {"n": "0"}}
    return f'{_text(said | dict(small))[:-1]},"request_data":{request},"response_data":{response}}}'


def _image(tag: str, random: Random) -> dict[str, str]:
    return {"type": "image", "title": tag, "data": picture(f"{random.getrandbits(64):016x}")}


_PAYLOADS: Mapping[str, Callable[[str, str, tuple[int, int], Random], tuple[str, str]]] = {
    "openpipe": _chat,
    "anthropic": _messages,
    "pezzo": _chat,
    "log": _chat,
}
_BODIES: Mapping[str, Callable[[str, str, str, str, Mapping[str, Any]], str]] = {
    "openpipe": _openpipe,
    "anthropic": _openpipe,
    "pezzo": _pezzo,
    "log": _log,
}
