"""Bodies with halves of characters: whatever is judged first, the verdict is that on the body made readable."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api import log_entries, openpipe, pezzo
from ingest_api.bodies import Body, BodyReader, ByteBudget
from ingest_api.errors import InvalidFields
from ingest_api.settings import IngestSettings
from ledger.errors import Invalid
from ledger.json_text import readable
from ledger.settings import KeysSection, SqliteLogSection
from tests.unit.ingest_api.service import a_pezzo_report, as_json

JUDGES: list[Callable[[bytes], object]] = [
    openpipe.check_syntax,
    openpipe.judge_report,
    openpipe.judge_check_cache,
    pezzo.judge_report,
    pezzo.judge_retrieve,
    pezzo.judge_save,
    log_entries.judge_insert,
    log_entries.judge_update,
]
"""All that an endpoint judges a body with."""

ESCAPES = ["\\ud83d", "\\uDBFF", "\\udc00", "\\uDFFF", "\\u0041", "\\\\", "\\n", "u", "d83d", "x"]
SOUPS = st.lists(st.sampled_from(ESCAPES), max_size=4).map("".join)
GOOD: list[Any] = [
    {"requestedAt": 1, "errorMessage": "SOUP", "tags": {"SOUP": "SOUP"}, "reqPayload": {"SOUP": "SOUP"}},
    a_pezzo_report(properties={"SOUP": "SOUP"}, SOUP="SOUP", cacheEnabled="SOUP"),
    a_pezzo_report(request={"timestamp": "2026-01-01T00:00:00Z", "body": {"a": "SOUP"}}),
    {"request": {"SOUP": "SOUP"}, "response": "SOUP"},
    {"model": "SOUP", "metadata": {"SOUP": 1}, "request_data": {"a": ["SOUP"]}, "cost": "SOUP"},
    {"id": "SOUP", "update_data": {"model": "SOUP", "SOUP": "SOUP"}},
    ["SOUP"],
    "SOUP",
]


def a_reader() -> BodyReader:
    """A reader under the usual settings."""
    settings = IngestSettings(SqliteLogSection(Path("unused")), KeysSection(Path("unused")))
    return BodyReader(settings, ByteBudget(settings.max_buffered_bytes))


def outcome(judge: Callable[[bytes], object], body: bytes) -> object:
    """What the judge says, or all that a sender would be told of its refusal."""
    try:
        return judge(body)
    except Invalid as error:
        return type(error), str(error), error.problems if isinstance(error, InvalidFields) else None


@pytest.mark.parametrize("judge", JUDGES)
@given(good=st.sampled_from(GOOD), soup=SOUPS, rest=st.sampled_from([b"", b"}", b" 1"]))
def test_the_verdict_is_that_on_the_body_made_readable(
    judge: Callable[[bytes], object], good: Any, soup: str, rest: bytes
) -> None:
    body = as_json(good).replace(b"SOUP", soup.encode()) + rest
    reader = a_reader()

    def judged(text: bytes) -> object:
        return asyncio.run(reader.judged(Body(text, None), reader.charged(), judge))

    assert outcome(judged, body) == outcome(judge, readable(body))


@pytest.mark.parametrize("text", [b"whole", rb"\ud83d\ude00", rb"\n"])
async def test_what_can_be_read_is_judged_once(text: bytes) -> None:
    judged: list[bytes] = []
    reader = a_reader()
    await reader.judged(Body(text, None), reader.charged(), judged.append)
    assert judged == [text]


async def test_a_body_is_judged_as_it_came_and_only_what_is_refused_is_made_readable() -> None:
    judged: list[bytes] = []

    def judge(text: bytes) -> None:
        judged.append(text)
        if rb"\ud83d" in text:
            raise Invalid

    reader = a_reader()
    await reader.judged(Body(rb"\ud83d", None), reader.charged(), judge)
    assert judged == [rb"\ud83d", rb"\ufffd"]
