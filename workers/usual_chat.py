"""A chat completion of OpenAI, or of one of the many that imitate it, as one typed value. See `usual_replies`."""

from typing import Annotated, Literal

import msgspec

from ledger.usage import INT64_MAX, Usage
from workers.counts import first_of
from workers.metering import inclusive
from workers.payloads import Reply

Count = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
"""A sane count; of any other number `ledger.usage.count_of` decides."""


class _Cached(msgspec.Struct):
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class _Read(msgspec.Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None
    cached_tokens_details: _Cached | None = None


class _Written(msgspec.Struct):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class _ChatUsage(msgspec.Struct):
    prompt_tokens: Count
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _Read | None = None
    completion_tokens_details: _Written | None = None
    cached_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    num_search_queries: Count | None = None
    service_tier: None = None
    speed: None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class Chat(msgspec.Struct):
    """The reply; keys that are `None` here are looked at when they are anything else."""

    object: Literal["chat.completion"]
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: _ChatUsage
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usageMetadata: None = None
    modelVersion: None = None
    speed: None = None
    error: None = None
    message: None = None


def read_chat(reply: Chat) -> Reply:
    """What it says."""
    choice = reply.choices[0]
    return Reply(
        model=reply.model or None,
        id=reply.id or None,
        completion=choice.message.content,
        finish_reason=choice.finish_reason or None,
        service_tier=reply.service_tier or None,
        usage=inclusive(_chat_usage(reply.usage)),
    )


def _chat_usage(usage: _ChatUsage) -> Usage:
    read, written = usage.prompt_tokens_details or _Read(), usage.completion_tokens_details or _Written()
    cached = read.cached_tokens_details or _Cached()
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cache_read_tokens=first_of(
            read.cached_tokens, usage.cache_read_input_tokens, usage.cached_tokens, usage.prompt_cache_hit_tokens
        ),
        cache_write_tokens=first_of(read.cache_write_tokens, usage.cache_creation_input_tokens),
        audio_input_tokens=read.audio_tokens,
        image_input_tokens=read.image_tokens,
        cache_read_audio_tokens=cached.audio_tokens,
        cache_read_image_tokens=cached.image_tokens,
        reasoning_tokens=first_of(written.reasoning_tokens, usage.reasoning_tokens),
        audio_output_tokens=written.audio_tokens,
        image_output_tokens=written.image_tokens,
        web_searches=usage.num_search_queries,
    )
