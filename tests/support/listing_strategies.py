"""Random rows, filters and lists. Values come from small sets, so that filters hit and sorts meet ties."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from ledger.ids import ProjectId
from ledger.request_log import Bodies, RequestLog
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.listing_model import SORTS, Asked

MONTH_MS = 30 * 24 * 3600 * 1000
TIMES = st.sampled_from([A_TIME, A_TIME + 1, A_TIME + 2, A_TIME + MONTH_MS, A_TIME + MONTH_MS + 1])
WORDS = st.text(st.sampled_from("aAbBß%_\\'`\"яЯ日😀 \n\t"), max_size=6)
NAMES = st.none() | st.sampled_from(["ann", "Bob", "a%_b", "o'neil\\"])
COUNTS = st.none() | st.sampled_from([0, 1, 2, 7, 2**60])
STATUSES = st.none() | st.sampled_from([0, 200, 404, 500])
DURATIONS = st.none() | st.sampled_from([0.0, 0.1, 100.25, 1e9])
PICO_USD = st.none() | st.sampled_from([0, 1, 150_000_000_000, 2_000_000_000_000])
METADATA = st.dictionaries(st.sampled_from(["env", "Tier", "n"]), st.sampled_from(["prod", "dev", "42", "", "прод"]))
HEADERS = st.none() | st.sampled_from(['{"X-Team": "blue", "n": 42}', '{"x-team": "red"}', "not json", "{}"])

BODIES = st.builds(
    Bodies,
    prompt=st.none() | WORDS,
    completion=st.none() | WORDS,
    raw_request=st.sampled_from(['{"a": 1}', "not json", ""]),
    request_headers=HEADERS,
)


@st.composite
def one_row(draw: st.DrawFn, number: int) -> RequestLog:
    """A row with an id of its own."""
    created_at = draw(TIMES)
    return a_request_log(
        project=ProjectId(draw(st.sampled_from(["shop", "bank"]))),
        created_at=created_at,
        id=an_id(created_at, number),
        updated_at=created_at + draw(st.sampled_from([0, 1])),
        duration_ms=draw(DURATIONS),
        model_requested=draw(NAMES),
        status_code=draw(STATUSES),
        streamed=draw(st.booleans()),
        cached=draw(st.booleans()),
        provider_response_id=draw(st.none() | WORDS),
        user_id=draw(NAMES),
        metadata=tuple(draw(METADATA).items()),
        input_tokens=draw(COUNTS),
        output_tokens=draw(COUNTS),
        total_tokens=draw(COUNTS),
        cost=draw(PICO_USD),
        http_ip=draw(st.none() | st.sampled_from(["10.0.0.1", "10.0.0.2"])),
        http_method=draw(st.none() | st.sampled_from(["GET", "POST"])),
        bodies=draw(BODIES),
    )


@st.composite
def writes(draw: st.DrawFn) -> list[list[RequestLog]]:
    """Batches of rows: first versions, then updates, deletions and copies of what was written before, in any order."""
    first = [draw(one_row(number)) for number in range(draw(st.integers(0, 10)))]
    again = [draw(_repetition(log)) for log in first if draw(st.booleans())]
    mixed = draw(st.permutations(first + again))
    cut = draw(st.integers(0, len(mixed)))
    return [batch for batch in (mixed[:cut], mixed[cut:]) if batch]


@st.composite
def _repetition(draw: st.DrawFn, log: RequestLog) -> RequestLog:
    kind = draw(st.sampled_from(["copy", "update", "deletion"]))
    if kind == "copy":
        return log
    if kind == "deletion":
        return replace(log, version=log.version + 2, is_deleted=True)
    return replace(
        log,
        version=log.version + 1,
        updated_at=log.updated_at + 1,
        status_code=draw(STATUSES),
        user_id=draw(NAMES),
        cost=draw(PICO_USD),
        metadata=tuple(draw(METADATA).items()),
        bodies=draw(BODIES),
    )


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
TEXTS = st.sampled_from(["ann", "Bob", "%", "b", "", "prod", "o", "blue", "10.0.0.1", 42, "POST", "прод"]) | WORDS


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
    | _comparison(["createdAt", "updatedAt"], ORDERED, TIMES)
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
            "value": TIMES.map(lambda ms: an_id(ms, 1)) | st.sampled_from(["0", "019", "-"]),
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
