"""The typed shapes know every name that the general reader looks at: one that is missing would be read past."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from ledger.usage import Usage
from workers import dialects_of_usage as dialects
from workers.payloads import read_reply
from workers.usual_chat import Chat
from workers.usual_messages import Message

A_CHAT = {
    "object": "chat.completion",
    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens_details": {}}},
}
A_MESSAGE = {"type": "message", "content": [{"text": "hi"}], "usage": {"input_tokens": 1, "cache_creation": {}}}

NAMES_NOTHING = {"object"}
"""Of a message: it says which dialect `prompt_tokens` belongs to, and a reply that has those is of no usual shape."""


class Watched(dict[str, Any]):
    """An object that knows the names it was asked for."""

    def __init__(self, held: dict[str, Any], asked: set[str]) -> None:
        super().__init__({name: watched(value, asked) for name, value in held.items()})
        self.asked = asked

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def watched(value: Any, asked: set[str]) -> Any:
    """The value with all of its objects watched."""
    if isinstance(value, dict):
        return Watched(value, asked)
    return [watched(item, asked) for item in value] if isinstance(value, list) else value


def names_in(shape: inspect.Type) -> Iterator[str]:
    """The names of a shape and of all it holds."""
    match shape:
        case inspect.StructType(fields=fields):
            for one in fields:
                yield one.encode_name
                yield from names_in(one.type)
        case inspect.UnionType(types=types):
            for inner in types:
                yield from names_in(inner)
        case inspect.ListType(item_type=item):
            yield from names_in(item)


@pytest.mark.parametrize(
    ("reply", "shape", "but"), [(A_CHAT, Chat, set()), (A_MESSAGE, Message, NAMES_NOTHING)], ids=["chat", "message"]
)
def test_every_name_that_is_looked_up_in_a_reply_is_one_of_its_shape(
    reply: dict[str, Any], shape: type[msgspec.Struct], but: set[str]
) -> None:
    asked: set[str] = set()
    found = read_reply(watched(reply, asked))
    assert (found.completion, found.usage is None) == ("hi", False)
    assert len(asked) > 10, "the reply was watched"
    assert asked - but <= set(names_in(inspect.type_info(shape)))


@pytest.mark.parametrize(
    ("dialect", "shape"), [(dialects.chat, Chat), (dialects.anthropic, Message)], ids=["chat", "message"]
)
def test_every_name_of_a_count_in_a_dialect_is_one_of_its_shape(
    dialect: Callable[..., Usage], shape: type[msgspec.Struct]
) -> None:
    texts = {constant for constant in dialect.__code__.co_consts if isinstance(constant, str)} - {dialect.__doc__}
    assert len(texts) > 5, "they are spelt out in it"
    assert texts <= set(names_in(inspect.type_info(shape)))
