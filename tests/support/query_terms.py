"""The search language a second time: terms as texts, each with what it means of a row in plain Python."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import eq, ge, gt, le, lt
from random import Random
from typing import Any

from hypothesis import strategies as st

from ledger.ids import ProjectId
from ledger.request_log import Bodies, CostStatus, RequestLog
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.listing_model import PICO, bodies_of
from tests.support.listing_strategies import HEADERS, METADATA, MONTH_MS, NAMES, TEXTS_STORED
from tests.support.query_trees import quoted

Holds = Callable[[RequestLog], bool]
Get = Callable[[RequestLog], Any]

DAY_MS = 24 * 3600 * 1000
A_DAY = A_TIME // DAY_MS
MIDNIGHT = A_TIME - A_TIME % DAY_MS
TIMES = [MIDNIGHT - 1, MIDNIGHT, A_TIME, A_TIME + 1, MIDNIGHT + DAY_MS - 1, MIDNIGHT + DAY_MS, A_TIME + MONTH_MS]
PROVIDERS = [None, "openai", "OpenAI", "groq", "Яндекс", "яндекс"]
COUNTS = [None, 0, 1, 7, 8, 2**60]
PICO_USD = [None, 0, 1, 150_000_000_000, 2_000_000_000_000]
DURATIONS_MS = [None, 0.0, 0.1, 200.0, 1500.25, 2000.0, 90_000.0]
BACKSLASH = "\\"
SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {"": eq, ">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass(frozen=True, slots=True)
class Term:
    """A text of the language, and the rows that it means."""

    text: str
    holds: Holds


TEXT_FIELDS: Mapping[str, Get] = {
    "model_requested": lambda log: log.model_requested,
    "model_served": lambda log: log.model_served,
    "user": lambda log: log.user_id,
    "session": lambda log: log.session_id,
    "trace": lambda log: log.trace_id,
    "environment": lambda log: log.environment,
    "env": lambda log: log.environment,
    "finish_reason": lambda log: log.finish_reason,
    "service_tier": lambda log: log.service_tier,
    "price_version": lambda log: log.price_version or None,
    "url": lambda log: log.http_url,
    "ip": lambda log: log.http_ip,
    "provider_id": lambda log: log.provider_response_id,
    "project": lambda log: log.project,
    "metadata.env": lambda log: dict(log.metadata).get("env"),
    'metadata."Tier"': lambda log: dict(log.metadata).get("Tier"),
    "header.x-team": lambda log: _header(log, "x-team"),
    "header.N": lambda log: _header(log, "n"),
}
FOLDED_FIELDS: Mapping[str, Get] = {
    "provider": lambda log: log.provider,
    "source": lambda log: log.source,
    "method": lambda log: log.http_method,
}
COUNT_FIELDS: Mapping[str, Get] = {
    "status": lambda log: log.status_code,
    "tokens": lambda log: log.total_tokens,
    "input_tokens": lambda log: log.input_tokens,
    "output_tokens": lambda log: log.output_tokens,
    "cache_read_tokens": lambda log: log.cache_read_tokens,
    "reasoning_tokens": lambda log: log.reasoning_tokens,
}
TIME_FIELDS: Mapping[str, Get] = {"created": lambda log: log.created_at, "updated": lambda log: log.updated_at}
DURATION_FIELDS: Mapping[str, Get] = {"latency": lambda log: log.duration_ms, "ttft": lambda log: log.ttft_ms}
FLAG_FIELDS: Mapping[str, Get] = {"streamed": lambda log: log.streamed, "cached": lambda log: log.cached}
ALWAYS_KNOWN = frozenset({"source", "project"})


def rows(count: int, seed: int) -> list[RequestLog]:
    """The same rows whenever the seed is the same."""
    random = Random(seed)
    return [_row(random, number) for number in range(count)]


def _row(random: Random, number: int) -> RequestLog:
    pick, created_at = random.choice, random.choice(TIMES)
    return a_request_log(
        project=ProjectId(pick(["shop", "shop", "bank"])),
        created_at=created_at,
        id=an_id(created_at, number),
        updated_at=pick(TIMES),
        source=pick(["openpipe", "OpenPipe", "pezzo"]),
        duration_ms=pick(DURATIONS_MS),
        ttft_ms=pick([None, 0, 200, 1500, 90_000]),
        provider=pick(PROVIDERS),
        status_code=pick([None, 0, 200, 404, 500]),
        is_error=pick([True, False]),
        error=pick(TEXTS_STORED),
        streamed=pick([True, False]),
        cached=pick([True, False]),
        cost=pick(PICO_USD),
        cost_status=pick(list(CostStatus)),
        http_method=pick([None, "GET", "get", "POST"]),
        price_version=pick(["", "ann", "2026-03"]),
        metadata=tuple(pick(METADATA).items()),
        bodies=Bodies(
            prompt=pick(TEXTS_STORED),
            completion=pick(TEXTS_STORED),
            media=pick([None, '[{"kind": "url"}]']),
            request_headers=pick(HEADERS),
        ),
        **{name: pick(NAMES) for name in _NAMED},
        **{name: pick(COUNTS) for name in _COUNTED},
    )


_NAMED = (
    *("model_requested", "model_served", "user_id", "session_id", "trace_id", "environment", "finish_reason"),
    *("service_tier", "http_url", "http_ip", "provider_response_id"),
)
_COUNTED = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "reasoning_tokens")


def _header(log: RequestLog, name: str) -> str | None:
    try:
        headers = json.loads(bodies_of(log).request_headers or "{}")
    except json.JSONDecodeError:
        return None
    found = {key.lower(): value for key, value in headers.items()}.get(name)
    return None if found is None else str(found)


def _when_known(get: Get, test: Callable[..., bool], *others: Any) -> Holds:
    """The test of a row's value and the others; a value that is not known fulfils none."""

    def holds(log: RequestLog) -> bool:
        known = get(log)
        return known is not None and test(known, *others)

    return holds


def _has(get: Get) -> Holds:
    return lambda log: get(log) is not None


def _texts() -> Iterator[Term]:
    for name, get in TEXT_FIELDS.items():
        for value in ("ann", "Ann", "o'neil\\", "prod", "blue", "42", "shop", "2026-03"):
            yield Term(f"{name}:{quoted(value)}", _when_known(get, eq, value))
        yield Term(f"{name}:(ann OR Bob OR dev)", _when_known(get, lambda text: text in ("ann", "Bob", "dev")))
        for begin in ("a", "a%_", "", "p", "s", "b"):
            yield Term(f"{name}:{begin}*", _when_known(get, str.startswith, begin))
        neil = "o'neil" + BACKSLASH
        yield Term(f"{name}:{quoted(neil)}*", _when_known(get, str.startswith, neil))
        if name not in ALWAYS_KNOWN:
            yield Term(f"has:{name}", _has(get))


def _models() -> Iterator[Term]:
    def models(log: RequestLog) -> list[str]:
        return [name for name in (log.model_requested, log.model_served) if name is not None]

    yield Term("model:ann", lambda log: "ann" in models(log))
    yield Term("model:B*", lambda log: any(name.startswith("B") for name in models(log)))
    yield Term("has:model", lambda log: bool(models(log)))


def _folded() -> Iterator[Term]:
    for name, get in FOLDED_FIELDS.items():
        for value in ("openai", "OPENAI", "ЯНДЕКС", "OPENPIPE", "Get", "nobody"):
            yield Term(f"{name}:{value}", _when_known(get, lambda text, v: text.lower() == v.lower(), value))
        yield Term(f"{name}:oPe*", _when_known(get, lambda text: text.lower().startswith("ope")))
        if name not in ALWAYS_KNOWN:
            yield Term(f"has:{name}", _has(get))


def _compared(name: str, get: Get, values: Mapping[str, Any]) -> Iterator[Term]:
    """Every sign with every value, and the ranges between the first and the last of them."""
    for sign, compare in SIGNS.items():
        for text, value in values.items():
            yield Term(f"{name}:{sign}{text}", _when_known(get, compare, value))
    first, *_, last = values.items()
    yield Term(f"{name}:{first[0]}..{last[0]}", _when_known(get, lambda known: first[1] <= known <= last[1]))
    yield Term(f"{name}:{first[0]}..", _when_known(get, ge, first[1]))
    yield Term(f"{name}:..{last[0]}", _when_known(get, le, last[1]))


def _numbers() -> Iterator[Term]:
    for name, get in COUNT_FIELDS.items():
        yield from _compared(name, get, {"0": 0, "7": 7, "7.5": Decimal("7.5"), "2e2": 200, "404": 404})
        yield Term(f"has:{name}", _has(get))
    for name, get in DURATION_FIELDS.items():
        yield from _compared(name, get, {"0": 0, "200ms": 200, "1.50025": 1500.25, "2s": 2000, "1.5m": 90_000})
        yield Term(f"has:{name}", _has(get))
    yield from _compared("cost", _usd, {"1e-12": Decimal("1e-12"), "0.15": Decimal("0.15"), "2": Decimal(2)})
    yield Term("has:cost", _has(_usd))


def _usd(log: RequestLog) -> Decimal | None:
    return None if log.cost is None else Decimal(log.cost) / PICO


def _times() -> Iterator[Term]:
    for name, get in TIME_FIELDS.items():
        yield from _compared(name, get, {_iso(ms): ms for ms in (MIDNIGHT, A_TIME, MIDNIGHT + DAY_MS)})
        day = _iso(MIDNIGHT)[:10]
        for sign, compare in SIGNS.items():
            yield Term(f"{name}:{sign}{day}", _when_known(get, lambda ms, c: c(ms // DAY_MS, A_DAY), compare))
        yield Term(f"{name}:{day}..{day}", _when_known(get, lambda ms: ms // DAY_MS == A_DAY))


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _others() -> Iterator[Term]:
    for name, get in FLAG_FIELDS.items():
        yield Term(f"{name}:true", _when_known(get, eq, True))
        yield Term(f"{name}:false", _when_known(get, eq, False))
    yield Term("error:true", lambda log: log.is_error)
    yield Term("error:false", lambda log: not log.is_error)
    yield Term("has:error", lambda log: log.is_error)
    for text in ("B", "a%", BACKSLASH, "я И", "nothing"):
        yield Term(f"error:{quoted(text)}", _when_known(lambda log: log.error, _holds_text, text))
    for status in CostStatus:
        yield Term(f"cost_status:{status}", _when_known(lambda log: log.cost_status, eq, status))
    for id_ in (an_id(ms, number) for ms in TIMES for number in range(8)):
        yield Term(f"id:{id_}", _when_known(lambda log: log.id, eq, id_))
    begin = an_id(A_TIME, 0)[:13]
    yield Term(f"id:{begin}*", lambda log: log.id.startswith(begin))
    yield Term("has:metadata", lambda log: bool(log.metadata))
    yield Term('has:metadata."n"', lambda log: "n" in dict(log.metadata))
    yield Term("has:media", lambda log: bodies_of(log).media is not None)
    yield Term("has:prompt", lambda log: bodies_of(log).prompt is not None)
    yield Term("has:completion", lambda log: bodies_of(log).completion is not None)


def _holds_text(known: str, text: str) -> bool:
    return text.lower() in known.lower()


def in_texts(*texts: str) -> Sequence[Term]:
    """Terms that look for these texts in prompts, in completions, in either."""
    return [term for text in texts for term in _in_texts(text)]


def _words() -> Iterator[Term]:
    yield from in_texts("b", "A", "%b", "_", "я", "日本", BACKSLASH, '"', "ß", "😀", "\n", "absent")


def _in_texts(text: str) -> Iterator[Term]:
    in_prompt = _when_known(lambda log: bodies_of(log).prompt, _holds_text, text)
    in_completion = _when_known(lambda log: bodies_of(log).completion, _holds_text, text)
    yield Term(f"prompt:{quoted(text)}", in_prompt)
    yield Term(f"completion:{quoted(text)}", in_completion)
    yield Term(quoted(text), _either(in_prompt, in_completion))


def _either(one: Holds, other: Holds) -> Holds:
    return lambda log: one(log) or other(log)


TERMS: Sequence[Term] = [
    *_texts(),
    *_models(),
    *_folded(),
    *_numbers(),
    *_times(),
    *_others(),
    *_words(),
]


def _joined(terms: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    several = st.lists(terms, min_size=2, max_size=3)
    return terms.map(_not) | several.map(_all_of) | several.map(_any_of)


def _not(term: Term) -> Term:
    return Term(f"NOT ({term.text})", lambda log: not term.holds(log))


def _all_of(terms: Sequence[Term]) -> Term:
    return Term(" ".join(f"({term.text})" for term in terms), lambda log: all(term.holds(log) for term in terms))


def _any_of(terms: Sequence[Term]) -> Term:
    return Term(" OR ".join(f"({term.text})" for term in terms), lambda log: any(term.holds(log) for term in terms))


def trees(terms: Sequence[Term], most: int = 6) -> st.SearchStrategy[Term]:
    """These terms, negated and joined in all ways."""
    return st.recursive(st.sampled_from(terms), _joined, max_leaves=most)


QUERIES: st.SearchStrategy[Term] = trees(TERMS)
