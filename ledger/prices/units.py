"""The units of the price data that a `Usage` counts, and which of them lie within which.

A count lies within another when its dimensions include all of the other's: audio read from a cache is a part of the
audio, of what was read from the cache, and of the input.
"""

from collections.abc import Mapping
from dataclasses import dataclass

REQUESTS = "requests"
"""The unit of which every call is one."""

NOT_REPORTED = frozenset({"storage_searches", "social_searches", "code_executions"})
"""Fees for tools that no usage reports: a rate for them says nothing about a call."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One countable thing: the attribute of `Usage` that counts it, and what it is."""

    attribute: str
    dimensions: frozenset[str]

    def is_within(self, other: "Unit") -> bool:
        """Is every one of these also one of those (and not the other way round)?"""
        return other.dimensions < self.dimensions


def _unit(attribute: str, *dimensions: str) -> Unit:
    return Unit(attribute, frozenset(dimensions))


COUNTED: Mapping[str, Unit] = {
    "input_tokens": _unit("input_tokens", "input"),
    "cache_read_tokens": _unit("cache_read_tokens", "input", "cache_read"),
    "cache_write_tokens": _unit("cache_write_tokens", "input", "cache_write"),
    "cache_write_5m_tokens": _unit("cache_write_5m_tokens", "input", "cache_write", "5m"),
    "cache_write_1h_tokens": _unit("cache_write_1h_tokens", "input", "cache_write", "1h"),
    "input_audio_tokens": _unit("audio_input_tokens", "input", "audio"),
    "input_image_tokens": _unit("image_input_tokens", "input", "image"),
    "input_video_tokens": _unit("video_input_tokens", "input", "video"),
    "cache_audio_read_tokens": _unit("cache_read_audio_tokens", "input", "cache_read", "audio"),
    "cache_image_read_tokens": _unit("cache_read_image_tokens", "input", "cache_read", "image"),
    "output_tokens": _unit("output_tokens", "output"),
    "output_reasoning_tokens": _unit("reasoning_tokens", "output", "reasoning"),
    "output_audio_tokens": _unit("audio_output_tokens", "output", "audio"),
    "output_image_tokens": _unit("image_output_tokens", "output", "image"),
    "output_video_tokens": _unit("video_output_tokens", "output", "video"),
    "web_searches": _unit("web_searches", "web_search"),
}

ROOTS = ("input_tokens", "output_tokens", "web_searches")
"""The units that lie within no other. What is used of them needs a rate."""

OVERLAPS: Mapping[str, tuple[str, str]] = {
    "cache_audio_read_tokens": ("cache_read_tokens", "input_audio_tokens"),
    "cache_image_read_tokens": ("cache_read_tokens", "input_image_tokens"),
}
"""Units that are what two others have in common; when both are there, their size cannot be guessed."""
