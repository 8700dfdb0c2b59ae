"""Each provider's words for a request, a reply and an error, under one roof."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.demo import anthropic, chat, gemini, images
from deploy.demo.calls import Call, Failure
from deploy.demo.models import Shape

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Provider:
    """How one provider words things."""

    request: Callable[[Call], Json]
    reply: Callable[[Call], Json]
    error: Callable[[Failure], Json]


PROVIDERS: Mapping[Shape, Provider] = {
    Shape.CHAT: Provider(chat.request, chat.reply, chat.error),
    Shape.ANTHROPIC: Provider(anthropic.request, anthropic.reply, anthropic.error),
    Shape.GEMINI: Provider(gemini.request, gemini.reply, gemini.error),
    Shape.IMAGE: Provider(images.request, images.reply, chat.error),
}
