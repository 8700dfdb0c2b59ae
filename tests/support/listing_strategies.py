"""Random rows, filters and lists. Values come from small sets, so that filters hit and sorts meet ties."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.listing_model import SORTS, Asked

MONTH_MS = 30 * 24 * 3600 * 1000
TIMES = [A_TIME, A_TIME + 1, A_TIME + 2, A_TIME + MONTH_MS, A_TIME + MONTH_MS + 1]
TEXTS_STORED = [
    None,
    "",
    "aAb",
    "ABBA b",
    "a%b_c",
    "_",
    "Я и я",
    "яЯ\\n",
    "日本 b",
    "ß's \\",
    '"b"',
    "tab\there",
    "😀a",
    "\n",
]
NAMES = [None, "ann", "Bob", "a%_b", "o'neil\\"]
COUNTS = [None, 0, 1, 2, 7, 2**60]
STATUSES = [None, 0, 200, 404, 500]
PICO_USD = [None, 0, 1, 150_000_000_000, 2_000_000_000_000]
METADATA = [{}, {"env": "prod"}, {"env": "dev", "Tier": "42"}, {"ENV": "x", "tier": "prod"}, {"env": "", "n": "прод"}]
HEADERS = [None, '{"X-Team": "blue", "n": 42}', '{"x-team": "red"}', '{"X-TEAM": "Red"}', "not json", "{}"]

Pick = Callable[[Sequence[Any]], Any]


def _row(pick: Pick, number: int) -> RequestLog:
    created_at = pick(TIMES)
    return a_request_log(
        project=ProjectId(pick(["shop", "bank"])),
        created_at=created_at,
        id=an_id(created_at, number),
        duration_ms=pick([None, 0.0, 0.1, 100.25, 1e9]),
        model_requested=pick(NAMES),
        streamed=pick([True, False]),
        cached=pick([True, False]),
        provider_response_id=pick(TEXTS_STORED) or None,
        input_tokens=pick(COUNTS),
        output_tokens=pick(COUNTS),
        http_ip=pick([None, "10.0.0.1", "10.0.0.2"]),
        http_method=pick([None, "GET", "POST"]),
        **_changeable(pick, created_at),
    )


def _changeable(pick: Pick, created_at: int) -> dict[str, Any]:
    return {
        "updated_at": created_at + pick([0, 1, 2]),
        "status_code": pick(STATUSES),
        "user_id": pick(NAMES),
        "total_tokens": pick(COUNTS),
        "cost": pick(PICO_USD),
        "metadata": tuple(pick(METADATA).items()),
        "bodies": Bodies(
            prompt=pick(TEXTS_STORED),
            completion=pick(TEXTS_STORED),
            raw_request=pick(['{"a": 1}', "not json", ""]),
            request_headers=pick(HEADERS),
        ),
    }


def _written_again(pick: Pick, log: RequestLog) -> RequestLog:
    kind = pick(["copy", "update", "update", "deletion"])
    if kind == "copy":
        return log
    if kind == "deletion":
        return replace(log, version=log.version + 2, is_deleted=True)
    return replace(log, version=log.version + 1, **_changeable(pick, log.created_at))


def many_rows(count: int, seed: int) -> list[RequestLog]:
    """The same rows whenever the seed is the same; half of them are written a second time, in some order."""
    random = Random(seed)
    rows = [_row(random.choice, number) for number in range(count)]
    again = [_written_again(random.choice, log) for log in rows if random.choice([True, False])]
    return random.sample([*rows, *again], len(rows) + len(again))


@st.composite
def writes(draw: st.DrawFn) -> list[list[RequestLog]]:
    """Batches of rows: first versions, then updates, deletions and copies of what was written before, in any order."""

    def pick(values: Sequence[Any]) -> Any:
        return draw(st.sampled_from(values))

    first = [_row(pick, number) for number in range(draw(st.integers(0, 10)))]
    again = [_written_again(pick, log) for log in first if draw(st.booleans())]
    mixed = draw(st.permutations(first + again))
    cut = draw(st.integers(0, len(mixed)))
    return [batch for batch in (mixed[:cut], mixed[cut:]) if batch]


WORDS = st.text(st.sampled_from("aAbB%_\\'`\"яЯ日😀 \n\t"), max_size=3)
TEXT_FIELDS = [
    "user_id",
    "model",
    "openai_id",
    "ip",
    "method",
    "completion",
    "x-metadata-env",
    "x-metadata-Tier",
    "x-team",
]
NUMBER_FIELDS = ["status", "tokens", "prompt_tokens", "completion_tokens", "cost", "duration"]
ORDERED = ["=", "!=", "<", "<=", ">", ">="]
PARTS = ["contains", "beginsWith", "endsWith", "doesNotContain", "doesNotBeginWith", "doesNotEndWith"]
NUMBERS = st.sampled_from([0, 1, 2, 200, 404, -1, 0.15, 0.1, 100.25, 7.5, 2, 10**15, 10**25, "200", "1e3", "-0.5"])
TEXTS = (
    st.sampled_from(["ann", "red", "Red", "Bob", "%", "b", "", "prod", "o", "blue", "10.0.0.1", 42, "POST", "прод"])
    | WORDS
)


def _comparison(fields: list[str], operators: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    scalar = st.fixed_dictionaries(
        {"field": st.sampled_from(fields), "operator": st.sampled_from(operators), "value": values}
    )
    several = st.fixed_dictionaries(
        {
            "field": st.sampled_from(fields),
            "operator": st.sampled_from(["in", "notIn"]),
            "value": st.lists(values, max_size=3),
        }
    )
    pair = st.fixed_dictionaries(
        {
            "field": st.sampled_from(fields),
            "operator": st.sampled_from(["between", "notBetween"]),
            "value": st.tuples(values, values).map(list),
        }
    )
    presence = st.fixed_dictionaries(
        {"field": st.sampled_from(fields), "operator": st.sampled_from(["null", "notNull"])},
        optional={"value": st.just("")},
    )
    return scalar | several | pair | presence


RULES = (
    _comparison(TEXT_FIELDS, ORDERED + PARTS, TEXTS)
    | _comparison(NUMBER_FIELDS, ORDERED, NUMBERS)
    | _comparison(["createdAt", "updatedAt"], ORDERED, st.sampled_from(TIMES))
    | st.fixed_dictionaries(
        {
            "field": st.sampled_from(["cached", "streamed"]),
            "operator": st.sampled_from(["=", "!="]),
            "value": st.sampled_from([True, False, "true", "false"]),
        }
    )
    | st.fixed_dictionaries(
        {
            "field": st.just("id"),
            "operator": st.sampled_from(ORDERED + PARTS),
            "value": st.sampled_from([an_id(ms, number) for ms in TIMES for number in (1, 5)])
            | st.sampled_from(["0", "019", "-"]),
        }
    )
)


def _group(members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"combinator": st.sampled_from(["and", "or"]), "rules": st.lists(members, max_size=3)},
        optional={"not": st.booleans(), "id": st.just("g")},
    )


FILTERS = _group(RULES | _group(RULES | _group(RULES)))

ASKED = st.builds(
    Asked,
    user_id=st.none() | st.sampled_from(["ann", "a%_b", "nobody"]),
    search=st.none() | WORDS.filter(bool),
    filter=st.none() | FILTERS,
    sort_by=st.sampled_from(sorted(SORTS)),
    ascending=st.booleans(),
)
