"""The dialects of usage: which field means what, one function for each shape of reply.

What they return is as reported, only that counts which a dialect puts beside its total are added to it.
"""

from ledger.usage import Usage, count_of
from workers.counts import Json, counts_by_modality, counts_in, first_of, object_in, objects_among, sum_of


def chat(usage: Json) -> Usage:
    """OpenAI chat, completions and embeddings, and the many that imitate them."""
    read = object_in(usage.get("prompt_tokens_details"))
    counts, prompt = counts_in(usage), counts_in(read)
    cached = counts_in(read.get("cached_tokens_details"))
    completion = counts_in(usage.get("completion_tokens_details"))
    return Usage(
        input_tokens=counts.get("prompt_tokens"),
        output_tokens=counts.get("completion_tokens"),
        total_tokens=counts.get("total_tokens"),
        cache_read_tokens=first_of(
            prompt.get("cached_tokens"),
            counts.get("cache_read_input_tokens"),
            counts.get("cached_tokens"),
            counts.get("prompt_cache_hit_tokens"),
        ),
        cache_write_tokens=first_of(prompt.get("cache_write_tokens"), counts.get("cache_creation_input_tokens")),
        audio_input_tokens=prompt.get("audio_tokens"),
        image_input_tokens=prompt.get("image_tokens"),
        cache_read_audio_tokens=cached.get("audio_tokens"),
        cache_read_image_tokens=cached.get("image_tokens"),
        reasoning_tokens=first_of(completion.get("reasoning_tokens"), counts.get("reasoning_tokens")),
        audio_output_tokens=completion.get("audio_tokens"),
        image_output_tokens=completion.get("image_tokens"),
        web_searches=counts.get("num_search_queries"),
    )


def responses(usage: Json, reply: Json) -> Usage:
    """OpenAI responses, images and transcriptions; also a bare pair of input_tokens and output_tokens."""
    details = object_in(usage.get("input_tokens_details"), usage.get("input_token_details"))
    counts, read, written = counts_in(usage), counts_in(details), counts_in(usage.get("output_tokens_details"))
    cached = counts_in(details.get("cached_tokens_details"))
    output = counts.get("output_tokens")
    is_split = "text_tokens" in written or "image_tokens" in written
    return Usage(
        input_tokens=counts.get("input_tokens"),
        output_tokens=output,
        total_tokens=counts.get("total_tokens"),
        cache_read_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        audio_input_tokens=read.get("audio_tokens"),
        image_input_tokens=read.get("image_tokens"),
        cache_read_audio_tokens=cached.get("audio_tokens"),
        cache_read_image_tokens=cached.get("image_tokens"),
        reasoning_tokens=written.get("reasoning_tokens"),
        audio_output_tokens=written.get("audio_tokens"),
        image_output_tokens=written.get("image_tokens") if is_split or not _is_image_reply(reply) else output,
        web_searches=_searches_among(reply.get("output")),
    )


def _is_image_reply(reply: Json) -> bool:
    """Without a split of its output such a reply counts image tokens only."""
    return any("b64_json" in one or "url" in one for one in objects_among(reply.get("data")))


def _searches_among(items: object) -> int | None:
    """How many items of a response are web searches; opening a page that was found is none."""
    actions = [one.get("action") for one in objects_among(items) if one.get("type") == "web_search_call"]
    return sum(not isinstance(action, dict) or action.get("type") == "search" for action in actions) or None


def anthropic(usage: Json) -> Usage:
    """Anthropic messages: what was read from and written to the cache stands beside the input, not within it."""
    counts, lifetimes = counts_in(usage), counts_in(usage.get("cache_creation"))
    five_minutes, one_hour = lifetimes.get("ephemeral_5m_input_tokens"), lifetimes.get("ephemeral_1h_input_tokens")
    read, written = counts.get("cache_read_input_tokens"), counts.get("cache_creation_input_tokens")
    if written is None:
        written = sum_of(five_minutes, one_hour)
    uncached = counts.get("input_tokens")
    return Usage(
        input_tokens=None if uncached is None else sum_of(uncached, read, written),
        output_tokens=counts.get("output_tokens"),
        total_tokens=counts.get("total_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_5m_tokens=five_minutes,
        cache_write_1h_tokens=one_hour,
        reasoning_tokens=counts_in(usage.get("output_tokens_details")).get("thinking_tokens"),
        web_searches=counts_in(usage.get("server_tool_use")).get("web_search_requests"),
    )


def gemini(usage: Json) -> Usage:
    """Gemini: thoughts and the results of tools are counted beside the candidates and the prompt."""
    counts = counts_in(usage)
    prompt, tools = counts.get("promptTokenCount"), counts.get("toolUsePromptTokenCount")
    candidates, thoughts = counts.get("candidatesTokenCount"), counts.get("thoughtsTokenCount")
    total = counts.get("totalTokenCount")
    read = None if prompt is None else sum_of(prompt, tools)
    if candidates is None and total is not None and read is not None:
        candidates = count_of(total - read - (thoughts or 0))  # a count of zero is left out of the reply
    cached = counts_by_modality(usage.get("cacheTokensDetails"))
    asked = counts_by_modality(usage.get("promptTokensDetails"), usage.get("toolUsePromptTokensDetails"))
    answered = counts_by_modality(usage.get("candidatesTokensDetails"))
    return Usage(
        input_tokens=read,
        output_tokens=None if candidates is None else sum_of(candidates, thoughts),
        total_tokens=total,
        cache_read_tokens=counts.get("cachedContentTokenCount"),
        audio_input_tokens=asked.get("AUDIO"),
        image_input_tokens=sum_of(asked.get("IMAGE"), asked.get("DOCUMENT")),
        video_input_tokens=asked.get("VIDEO"),
        cache_read_audio_tokens=cached.get("AUDIO", 0 if cached else None),
        cache_read_image_tokens=sum_of(cached.get("IMAGE"), cached.get("DOCUMENT"), 0 if cached else None),
        reasoning_tokens=thoughts,
        audio_output_tokens=answered.get("AUDIO"),
        image_output_tokens=sum_of(answered.get("IMAGE"), answered.get("DOCUMENT")),
        video_output_tokens=answered.get("VIDEO"),
    )
