"""A message of Anthropic as one typed value. See `usual_replies`."""

from typing import Literal

import msgspec

from ledger.usage import Usage
from workers.counts import sum_of
from workers.metering import inclusive
from workers.payloads import Reply
from workers.usual_chat import Count


class _Lifetimes(msgspec.Struct):
    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class _Written(msgspec.Struct):
    thinking_tokens: Count | None = None


class _Tools(msgspec.Struct):
    web_search_requests: Count | None = None


class _MessageUsage(msgspec.Struct):
    input_tokens: Count
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _Lifetimes | None = None
    output_tokens_details: _Written | None = None
    server_tool_use: _Tools | None = None
    service_tier: str | None = None
    speed: str | None = None
    prompt_tokens: msgspec.UnsetType | None = msgspec.UNSET  # also a null names another dialect
    completion_tokens: msgspec.UnsetType | None = msgspec.UNSET


class _Part(msgspec.Struct):
    text: str | None = None


class Message(msgspec.Struct):
    """The reply; keys that are `None` here are looked at when they are anything else."""

    type: Literal["message"]
    content: list[_Part]
    usage: _MessageUsage
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    service_tier: str | None = None
    speed: str | None = None
    usageMetadata: None = None
    modelVersion: None = None
    choices: None = None
    output: None = None
    candidates: None = None
    error: None = None
    message: None = None


def read_message(reply: Message) -> Reply | None:
    """What it says; None where its counts are of another dialect."""
    if reply.usage.prompt_tokens is None or reply.usage.completion_tokens is None:
        return None
    texts = [part.text for part in reply.content if part.text is not None]
    return Reply(
        model=reply.model or None,
        id=reply.id or None,
        completion="".join(texts) if texts else None,
        finish_reason=reply.stop_reason or None,
        service_tier=reply.service_tier or reply.usage.service_tier or None,
        speed=reply.speed or reply.usage.speed or None,
        usage=inclusive(_message_usage(reply.usage)),
    )


def _message_usage(usage: _MessageUsage) -> Usage:
    lifetimes = usage.cache_creation or _Lifetimes()
    written = usage.cache_creation_input_tokens
    if written is None:
        written = sum_of(lifetimes.ephemeral_5m_input_tokens, lifetimes.ephemeral_1h_input_tokens)
    return Usage(
        input_tokens=sum_of(usage.input_tokens, usage.cache_read_input_tokens, written),
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=written,
        cache_write_5m_tokens=lifetimes.ephemeral_5m_input_tokens,
        cache_write_1h_tokens=lifetimes.ephemeral_1h_input_tokens,
        reasoning_tokens=(usage.output_tokens_details or _Written()).thinking_tokens,
        web_searches=(usage.server_tool_use or _Tools()).web_search_requests,
    )
