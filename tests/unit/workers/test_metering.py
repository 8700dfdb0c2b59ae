"""The token counts in a reply, for every dialect of usage."""

from typing import Any

import pytest

from ledger.usage import INT64_MAX, Usage
from workers.metering import read_service_tier, read_speed, read_usage


def chat(**usage: Any) -> dict[str, Any]:
    return {"object": "chat.completion", "model": "gpt-5", "usage": usage}


def message(**usage: Any) -> dict[str, Any]:
    return {"type": "message", "model": "claude-opus-4-8", "usage": usage}


def gemini(**usage: Any) -> dict[str, Any]:
    return {"candidates": [], "modelVersion": "gemini-2.5-pro", "usageMetadata": usage}


def tokens(modality: str, count: object) -> dict[str, object]:
    return {"modality": modality, "tokenCount": count}


def test_openai_chat_counts_its_parts_within_its_totals() -> None:
    reply = chat(
        prompt_tokens=1000,
        completion_tokens=100,
        total_tokens=1100,
        prompt_tokens_details={"cached_tokens": 400, "cache_write_tokens": 50, "audio_tokens": 30, "image_tokens": 20},
        completion_tokens_details={"reasoning_tokens": 60, "audio_tokens": 10, "image_tokens": 5},
    )
    assert read_usage(reply) == Usage(
        input_tokens=1000,
        output_tokens=100,
        total_tokens=1100,
        cache_read_tokens=400,
        cache_write_tokens=50,
        audio_input_tokens=30,
        image_input_tokens=20,
        reasoning_tokens=60,
        audio_output_tokens=10,
        image_output_tokens=5,
    )


@pytest.mark.parametrize("name", ["cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"])
def test_imitators_of_openai_chat_name_cached_tokens_beside_the_totals(name: str) -> None:
    reply = chat(prompt_tokens=10, completion_tokens=1, total_tokens=11, **{name: 4})
    assert read_usage(reply) == Usage(input_tokens=10, output_tokens=1, total_tokens=11, cache_read_tokens=4)


def test_an_anthropic_model_behind_an_openai_shaped_gateway_is_inclusive() -> None:
    reply = {
        "model": "claude-opus-4-8",
        "usage": {
            "prompt_tokens": 1627,
            "completion_tokens": 7,
            "total_tokens": 1634,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 123,
        },
    }
    assert read_usage(reply) == Usage(
        input_tokens=1627, output_tokens=7, total_tokens=1634, cache_read_tokens=1000, cache_write_tokens=123
    )


def test_embeddings_have_no_output() -> None:
    reply = {"object": "list", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    assert read_usage(reply) == Usage(input_tokens=8, total_tokens=8)


def test_perplexity_reports_its_searches_and_leaves_reasoning_out_of_the_output() -> None:
    reply = chat(
        prompt_tokens=33, completion_tokens=7163, total_tokens=7196, reasoning_tokens=73997, num_search_queries=18
    )
    assert read_usage(reply) == Usage(
        input_tokens=33,
        output_tokens=7163 + 73997,
        total_tokens=33 + 7163 + 73997,
        reasoning_tokens=73997,
        web_searches=18,
        read_as_exclusive=True,
    )


def test_openai_responses_count_their_parts_within_their_totals() -> None:
    reply = {
        "object": "response",
        "output": [
            {"type": "web_search_call", "action": {"type": "search"}},
            {"type": "web_search_call", "action": {"type": "open_page"}},
            {"type": "web_search_call"},
            {"type": "message", "content": []},
        ],
        "usage": {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 10},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 60},
            "total_tokens": 1100,
        },
    }
    assert read_usage(reply) == Usage(
        input_tokens=1000,
        output_tokens=100,
        total_tokens=1100,
        cache_read_tokens=400,
        cache_write_tokens=10,
        reasoning_tokens=60,
        web_searches=2,
    )


def test_a_response_is_read_as_one_even_with_other_dialects_names_in_it() -> None:
    reply = {"object": "response", "usage": {"input_tokens": 5, "output_tokens": 1, "prompt_tokens": 0}}
    assert read_usage(reply) == Usage(input_tokens=5, output_tokens=1, total_tokens=6)


def test_images_are_counted_apart_from_text() -> None:
    usage = {
        "input_tokens": 60,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 50},
        "output_tokens": 300,
        "output_tokens_details": {"text_tokens": 20, "image_tokens": 280},
        "total_tokens": 360,
    }
    assert read_usage({"data": [{"b64_json": "…"}], "usage": usage}) == Usage(
        input_tokens=60, output_tokens=300, total_tokens=360, image_input_tokens=50, image_output_tokens=280
    )


@pytest.mark.parametrize(
    ("data", "drawn"), [([{"b64_json": "…"}], 300), ([{"url": "…"}], 300), ([{}], None), ([], None)]
)
def test_the_undivided_output_of_an_image_reply_is_images(data: list[object], drawn: int | None) -> None:
    reply = {"data": data, "usage": {"input_tokens": 60, "output_tokens": 300}}
    assert read_usage(reply) == Usage(input_tokens=60, output_tokens=300, total_tokens=360, image_output_tokens=drawn)


def test_a_transcription_counted_in_tokens_tells_audio_from_text() -> None:
    usage = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {
            "text_tokens": 10,
            "audio_tokens": 4,
            "cached_tokens": 3,
            "cached_tokens_details": {"audio_tokens": 1, "image_tokens": 0},
        },
        "output_tokens": 45,
        "total_tokens": 59,
    }
    assert read_usage({"text": "…", "usage": usage}) == Usage(
        input_tokens=14,
        output_tokens=45,
        total_tokens=59,
        cache_read_tokens=3,
        audio_input_tokens=4,
        cache_read_audio_tokens=1,
        cache_read_image_tokens=0,
    )


def test_a_transcription_counted_in_seconds_has_no_tokens() -> None:
    assert read_usage({"text": "…", "duration": 9.2, "usage": {"type": "duration", "seconds": 9}}) is None


def test_anthropic_counts_the_cache_beside_its_input() -> None:
    reply = message(
        input_tokens=504,
        cache_creation_input_tokens=123,
        cache_read_input_tokens=1000,
        cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 23},
        output_tokens=40,
        output_tokens_details={"thinking_tokens": 30},
        server_tool_use={"web_search_requests": 2},
        service_tier="batch",
    )
    assert read_usage(reply) == Usage(
        input_tokens=1627,
        output_tokens=40,
        total_tokens=1667,
        cache_read_tokens=1000,
        cache_write_tokens=123,
        cache_write_5m_tokens=100,
        cache_write_1h_tokens=23,
        reasoning_tokens=30,
        web_searches=2,
    )
    assert read_service_tier(reply) == "batch"


@pytest.mark.parametrize("name", ["cache_read_input_tokens", "cache_creation_input_tokens"])
def test_anthropic_is_known_by_its_names_too(name: str) -> None:
    usage = read_usage({"usage": {"input_tokens": 10, "output_tokens": 1, name: 5}})
    assert usage is not None
    assert usage.input_tokens == 15


def test_anthropic_cache_writes_may_be_reported_by_lifetime_only() -> None:
    usage = read_usage(message(input_tokens=4, output_tokens=1, cache_creation={"ephemeral_1h_input_tokens": 6}))
    assert usage == Usage(
        input_tokens=10, output_tokens=1, total_tokens=11, cache_write_tokens=6, cache_write_1h_tokens=6
    )


def test_writes_by_lifetime_that_exceed_all_that_was_written_correct_it() -> None:
    reply = message(
        input_tokens=4,
        cache_creation_input_tokens=5,
        cache_creation={"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 6},
        output_tokens=1,
    )
    usage = read_usage(reply)
    assert usage is not None
    assert (usage.input_tokens, usage.cache_write_tokens, usage.read_as_exclusive) == (13, 9, True)
    del reply["usage"]["input_tokens"]
    usage = read_usage(reply)
    assert usage is not None
    assert (usage.input_tokens, usage.cache_write_tokens) == (None, 9)


def test_input_and_output_alone_read_the_same_in_every_shape() -> None:
    counts = {"input_tokens": 10, "output_tokens": 4}
    expected = Usage(input_tokens=10, output_tokens=4, total_tokens=14)
    assert read_usage({"usage": counts}) == expected
    assert read_usage({"usage": counts, "type": "message"}) == expected
    assert read_usage({"usage": counts, "object": "response"}) == expected


def test_gemini_counts_thoughts_beside_the_candidates() -> None:
    reply = gemini(promptTokenCount=100, candidatesTokenCount=20, thoughtsTokenCount=30, totalTokenCount=150)
    assert read_usage(reply) == Usage(input_tokens=100, output_tokens=50, total_tokens=150, reasoning_tokens=30)


def test_gemini_counts_by_modality_and_the_results_of_tools_beside_the_prompt() -> None:
    reply = gemini(
        promptTokenCount=100,
        cachedContentTokenCount=40,
        cacheTokensDetails=[tokens("TEXT", 25), tokens("AUDIO", 10), tokens("IMAGE", 2), tokens("DOCUMENT", 3)],
        promptTokensDetails=[tokens("TEXT", 50), tokens("AUDIO", 20), tokens("IMAGE", 10), tokens("VIDEO", 9)],
        toolUsePromptTokenCount=7,
        toolUsePromptTokensDetails=[tokens("DOCUMENT", 4), tokens("AUDIO", 1)],
        candidatesTokenCount=20,
        candidatesTokensDetails=[tokens("IMAGE", 12), tokens("AUDIO", 3), tokens("VIDEO", 2)],
        totalTokenCount=127,
    )
    assert read_usage(reply) == Usage(
        input_tokens=107,
        output_tokens=20,
        total_tokens=127,
        cache_read_tokens=40,
        audio_input_tokens=21,
        image_input_tokens=14,
        video_input_tokens=9,
        cache_read_audio_tokens=10,
        cache_read_image_tokens=5,
        audio_output_tokens=3,
        image_output_tokens=12,
        video_output_tokens=2,
    )


def test_gemini_modalities_that_were_not_in_the_cache_are_known_to_be_none_of_it() -> None:
    reply = gemini(promptTokenCount=9, cachedContentTokenCount=4, cacheTokensDetails=[tokens("TEXT", 4)])
    usage = read_usage(reply)
    assert usage is not None
    assert (usage.cache_read_audio_tokens, usage.cache_read_image_tokens) == (0, 0)


def test_gemini_leaves_a_count_of_zero_out_of_its_reply() -> None:
    thinking = gemini(promptTokenCount=100, thoughtsTokenCount=30, totalTokenCount=130)
    assert read_usage(thinking) == Usage(input_tokens=100, output_tokens=30, total_tokens=130, reasoning_tokens=30)
    blocked = gemini(promptTokenCount=100, totalTokenCount=100)
    assert read_usage(blocked) == Usage(input_tokens=100, output_tokens=0, total_tokens=100)


def test_gemini_without_a_total_does_not_tell_what_was_left_out() -> None:
    assert read_usage(gemini(promptTokenCount=100)) == Usage(input_tokens=100)
    assert read_usage(gemini(candidatesTokenCount=5)) == Usage(output_tokens=5)
    assert read_usage(gemini(promptTokenCount=100, totalTokenCount=90)) == Usage(input_tokens=100, total_tokens=90)


def test_broken_gemini_details_are_left_out() -> None:
    entries = [tokens("AUDIO", -1), {"tokenCount": 4}, "AUDIO", None, tokens("AUDIO", 3)]
    usage = read_usage(gemini(promptTokenCount=9, promptTokensDetails=entries, candidatesTokensDetails="AUDIO"))
    assert usage == Usage(input_tokens=9, audio_input_tokens=3)


def test_details_that_overflow_together_are_left_out() -> None:
    entries = [tokens("AUDIO", INT64_MAX), tokens("AUDIO", INT64_MAX)]
    usage = read_usage(gemini(promptTokenCount=9, promptTokensDetails=entries))
    assert usage == Usage(input_tokens=9)


def test_a_total_alone_is_stored_and_nothing_is_guessed_from_it() -> None:
    assert read_usage({"usage": {"total_tokens": 25}}) == Usage(total_tokens=25)


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"usage": None},
        {"usage": {}},
        {"usage": []},
        {"usage": 7},
        {"usage": {"prompt_tokens": None}},
        {"usage": {"prompt_tokens": -1, "completion_tokens": "3", "total_tokens": 1.5}},
        {"usage": {"input_tokens": True}},
        {"usageMetadata": {}},
        {"usageMetadata": None, "usage": None},
        {"type": "message", "usage": {"output_tokens": 2**63}},
    ],
)
def test_a_reply_without_a_sane_count_has_no_usage(reply: dict[str, Any]) -> None:
    assert read_usage(reply) is None


def test_insane_counts_beside_sane_ones_are_not_reported() -> None:
    reply = chat(prompt_tokens=12.0, completion_tokens=-1, prompt_tokens_details=[], completion_tokens_details=None)
    assert read_usage(reply) == Usage(input_tokens=12)


def test_sums_that_do_not_fit_are_not_reported() -> None:
    reply = message(input_tokens=INT64_MAX, cache_read_input_tokens=1, output_tokens=1)
    assert read_usage(reply) == Usage(output_tokens=1, cache_read_tokens=1)


def test_cached_tokens_that_exceed_the_input_are_added_to_it_and_marked() -> None:
    reply = chat(
        prompt_tokens=100, completion_tokens=10, total_tokens=110, prompt_tokens_details={"cached_tokens": 900}
    )
    assert read_usage(reply) == Usage(
        input_tokens=1000, output_tokens=10, total_tokens=1010, cache_read_tokens=900, read_as_exclusive=True
    )


def test_a_total_that_holds_more_than_both_sides_is_left_as_reported() -> None:
    reply = chat(
        prompt_tokens=100, completion_tokens=10, total_tokens=2000, prompt_tokens_details={"cached_tokens": 900}
    )
    usage = read_usage(reply)
    assert usage is not None
    assert usage.total_tokens == 2000


def test_audio_that_exceeds_the_input_is_added_to_it_and_marked() -> None:
    usage = read_usage(chat(prompt_tokens=10, completion_tokens=1, prompt_tokens_details={"audio_tokens": 30}))
    assert usage is not None
    assert (usage.input_tokens, usage.read_as_exclusive) == (40, True)


def test_audio_that_exceeds_the_output_is_added_to_it_and_marked() -> None:
    usage = read_usage(chat(prompt_tokens=10, completion_tokens=1, completion_tokens_details={"audio_tokens": 30}))
    assert usage is not None
    assert (usage.output_tokens, usage.read_as_exclusive) == (31, True)


def test_a_total_that_counts_reasoning_apart_gives_it_away() -> None:
    details = {"reasoning_tokens": 7}
    apart = chat(prompt_tokens=100, completion_tokens=10, total_tokens=117, completion_tokens_details=details)
    assert read_usage(apart) == Usage(
        input_tokens=100, output_tokens=17, total_tokens=117, reasoning_tokens=7, read_as_exclusive=True
    )
    within = chat(prompt_tokens=100, completion_tokens=10, total_tokens=110, completion_tokens_details=details)
    assert read_usage(within) == Usage(input_tokens=100, output_tokens=10, total_tokens=110, reasoning_tokens=7)


def test_reasoning_without_any_total_stays_a_part() -> None:
    usage = read_usage(chat(completion_tokens=10, completion_tokens_details={"reasoning_tokens": 7}))
    assert usage == Usage(output_tokens=10, reasoning_tokens=7)


def test_the_tier_and_the_speed_are_the_replys_own_or_those_of_its_usage() -> None:
    assert read_service_tier({"service_tier": "flex", "usage": {"service_tier": "batch"}}) == "flex"
    assert read_service_tier({"service_tier": None, "usage": {"service_tier": "batch"}}) == "batch"
    assert read_speed({"usage": {"speed": "fast"}}) == "fast"
    assert read_service_tier({"service_tier": 7, "usage": [1]}) is None
    assert read_speed({}) is None
