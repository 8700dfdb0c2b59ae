"""Usage: what a call read and wrote, counted inclusively. None is "not reported", never 0.

`input_tokens` is everything that was read, with the cache parts beneath it; `output_tokens` includes reasoning. A part
(cache, reasoning, audio, image, video) is already in its total and is never added to it again.
"""

import msgspec

INT64_MAX = 2**63 - 1


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The counts of one call. Each is a non-negative integer that fits an Int64, or None when it was not reported."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None  # as reported; alone when nothing else was
    # parts of the input
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None  # all that was written, whatever its lifetime
    cache_write_5m_tokens: int | None = None  # part of cache_write_tokens
    cache_write_1h_tokens: int | None = None  # part of cache_write_tokens
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    video_input_tokens: int | None = None
    cache_read_audio_tokens: int | None = None  # part of both cache_read_tokens and audio_input_tokens
    cache_read_image_tokens: int | None = None  # part of both cache_read_tokens and image_input_tokens
    # parts of the output
    reasoning_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    video_output_tokens: int | None = None
    # beside the tokens
    web_searches: int | None = None
    read_as_exclusive: bool = False  # the parts did not fit in a reported total, so they were added to it


def count_of(value: object) -> int | None:
    """The value as a count, or None when it is not one: a bool, a text, a fraction, negative, beyond Int64."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value <= INT64_MAX:  # a bool's type is another one
        return value
    return None
