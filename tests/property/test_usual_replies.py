"""A reply says the same whether it is read as one of the usual shapes or as anything."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.usage import INT64_MAX
from tests.bench.bodies import report_body
from tests.property.test_reading_usage import KEYS, values
from tests.support.recorded_requests import recorded_requests
from workers.payloads import Reply, decoded, names_an_error, read_reply
from workers.usual_replies import reply_in, usual_reply

counts = st.none() | st.integers(0, 3000) | st.just(INT64_MAX)
texts = st.none() | st.sampled_from(["", "a", "stop", "gpt-4o", "flex", "default", "é", "\n"])
odd: st.SearchStrategy[Any] = values | st.sampled_from(
    [-1, INT64_MAX + 1, 2.0, 0.5, "3", True, [], {}, "response", None]
)


Objects = st.SearchStrategy[dict[str, Any]]


def merged(*parts: dict[str, Any], **named: Any) -> dict[str, Any]:
    return {name: value for part in (*parts, named) for name, value in part.items()}


def objects_with(names: str, held: st.SearchStrategy[Any]) -> Objects:
    return st.dictionaries(st.sampled_from(names.split()), held, max_size=4)


read: Objects = st.builds(
    merged,
    objects_with("cached_tokens cache_write_tokens audio_tokens image_tokens", counts),
    cached_tokens_details=st.none() | objects_with("audio_tokens image_tokens", counts),
)
chat_usages: Objects = st.builds(
    merged,
    objects_with("completion_tokens total_tokens cached_tokens reasoning_tokens num_search_queries", counts),
    objects_with("cache_read_input_tokens cache_creation_input_tokens prompt_cache_hit_tokens input_tokens", counts),
    prompt_tokens=st.integers(0, 3000),
    prompt_tokens_details=st.none() | read,
    completion_tokens_details=st.none() | objects_with("reasoning_tokens audio_tokens image_tokens", counts),
)
choices: Objects = st.builds(merged, message=objects_with("content refusal", texts), finish_reason=texts)
chats: Objects = st.builds(
    merged,
    objects_with("id model service_tier created", texts),
    object=st.just("chat.completion"),
    choices=st.lists(choices, min_size=1, max_size=2),
    usage=chat_usages,
)
message_usages: Objects = st.builds(
    merged,
    objects_with("output_tokens total_tokens cache_read_input_tokens cache_creation_input_tokens", counts),
    objects_with("service_tier speed", texts),
    input_tokens=st.integers(0, 3000),
    cache_creation=st.none() | objects_with("ephemeral_5m_input_tokens ephemeral_1h_input_tokens", counts),
    output_tokens_details=st.none() | objects_with("thinking_tokens", counts),
    server_tool_use=st.none() | objects_with("web_search_requests", counts),
)
messages: Objects = st.builds(
    merged,
    objects_with("id model stop_reason service_tier speed", texts),
    type=st.just("message"),
    content=st.lists(objects_with("text type", texts), max_size=3),
    usage=message_usages,
)


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, however deep."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(inner)


def same(text: str) -> Reply | None:
    """What it is read as, if it is of a usual shape; fails when that is not what any reader finds."""
    usual, found = usual_reply(text), read_reply(decoded(text))
    assert usual in (None, found)
    assert reply_in(text) == found
    return usual


@given(chats | messages)
def test_a_usual_reply_says_what_any_reader_finds_in_it(reply: dict[str, Any]) -> None:
    assert same(msgspec.json.encode(reply).decode()) is not None


@given(chats | messages, st.data())
def test_so_does_one_that_is_not_quite_usual(reply: dict[str, Any], data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from(list(objects_in(reply))))
    name = data.draw(st.sampled_from([*changed, *KEYS, "modelVersion", "code", "stop_reason", "finish_reason"]))
    changed[name] = data.draw(odd)
    same(msgspec.json.encode(reply).decode())


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_null_names_another_dialect_too(name: str) -> None:
    reply = {"type": "message", "content": [], "usage": {"input_tokens": 1, name: None}}
    assert same(json.dumps(reply)) is None


def test_of_a_name_that_is_given_twice_the_last_one_counts() -> None:
    twice = (
        '{"object":"chat.completion","model":"a","model":"b","choices":[{"message":{}}],"usage":{"prompt_tokens":1}}'
    )
    reply = same(twice)
    assert reply is not None
    assert reply.model == "b"


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=6), st.booleans())
def test_so_does_any_reply(reply: dict[str, Any], packed: bool) -> None:
    text = json.dumps(json.dumps(reply) if packed else reply)
    same(text)
    value = decoded(text)
    assert names_an_error(text) is (isinstance(value, dict) and "error" in value)


@pytest.mark.parametrize("text", [None, "", "null", "{", "[]", "1", '"data: {}"', '{"choices":[', '{"id":"\\ud83d"}'])
def test_what_is_no_reply_is_left_to_the_general_reader(text: str | None) -> None:
    assert usual_reply(text) is None
    assert reply_in(text) == read_reply(decoded(text))


def test_a_key_that_is_written_with_escapes_is_that_key() -> None:
    assert names_an_error('{"\\u0065rror":null}')
    assert not names_an_error('{"a":"\\u0065rror"}')
    assert not names_an_error('["error"]')


def test_the_replies_of_real_clients_are_of_a_usual_shape() -> None:
    bodies = [json.loads(recorded.body) for recorded in recorded_requests() if recorded.makes_a_row]
    read_so = [same(json.dumps(value)) for body in bodies for value in objects_in(body)]
    usual = [reply for reply in read_so if reply]
    assert len(usual) > 5
    assert all(reply.usage and reply.model for reply in usual)


def test_the_replies_of_the_bench_are_of_a_usual_shape() -> None:
    payload = json.loads(report_body(3000))["respPayload"]
    assert usual_reply(json.dumps(payload)) is not None
