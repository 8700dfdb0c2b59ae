"""Random conditions of our own list: as parameters, and as what they mean of a row in plain Python."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from ledger.request_log import RequestLog
from query_api.views import iso
from tests.support.histories import TIMES
from tests.support.listing_model import Asked, current, expected, fulfils
from tests.support.listing_strategies import FILTERS, NAMES
from tests.support.query_terms import TERMS, Term, in_texts, trees

_TEXTS = (
    "quick",
    "UICK B",
    "brown",
    "fox you",
    "привет",
    "ривет, м",
    "本語",
    "のtext",
    "100%_",
    "😀",
    "b",
    "hello world",
)
_WORDS = in_texts(*_TEXTS)
_FIELDS = [term for term in TERMS if not term.text.startswith("project")]
_PLAIN = [
    term for term in _FIELDS if term.text.partition(":")[0] in ("status", "user", "cost", "tokens", "metadata.env")
]


EVERYTHING = Asked()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls are asked for; all of it must hold."""

    asked: Asked = EVERYTHING
    query: Term | None = None
    created_from: int | None = None
    created_before: int | None = None

    def parameters(self) -> dict[str, str]:
        """The same as query parameters of our own list."""
        given = {name: text for name, text in self.asked.query().items() if not name.startswith("sort")}
        if self.query is not None:
            given["q"] = self.query.text
        if self.created_from is not None:
            given["from"] = iso(self.created_from)
        if self.created_before is not None:
            given["to"] = iso(self.created_before)
        return given

    def holds(self, log: RequestLog) -> bool:
        """Whether a row as it stands is meant."""
        return (
            (self.created_from is None or log.created_at >= self.created_from)
            and (self.created_before is None or log.created_at < self.created_before)
            and (self.query is None or self.query.holds(log))
            and fulfils(log, self.asked)
        )

    def rows(self, logs: Iterable[RequestLog]) -> list[RequestLog]:
        """Those of these versions of rows that are meant, in the order asked for."""
        return expected([log for log in current(logs) if self.holds(log)], self.asked)


def _sometimes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([False, False, False, False, True]).flatmap(lambda given: values if given else st.none())


_QUERIES = (
    st.sampled_from(_WORDS)
    | st.sampled_from(_WORDS)
    | st.sampled_from(_PLAIN)
    | st.lists(st.sampled_from(_WORDS), min_size=1, max_size=2).flatmap(
        lambda words: trees(_PLAIN, 2).map(lambda plain: _beside([*words, plain]))
    )
    | trees([*_WORDS, *_PLAIN])
    | trees(_FIELDS)
)


def _beside(terms: list[Term]) -> Term:
    return Term(" ".join(f"({term.text})" for term in terms), lambda log: all(term.holds(log) for term in terms))


_SEARCHED = st.sampled_from(_TEXTS)
_USERS = st.sampled_from([name for name in NAMES if name])

WANTED: st.SearchStrategy[Wanted] = st.builds(
    Wanted,
    asked=st.builds(Asked, user_id=_sometimes(_USERS), search=_sometimes(_SEARCHED), filter=_sometimes(FILTERS)),
    query=st.none() | _QUERIES | _QUERIES,
    created_from=_sometimes(st.sampled_from(TIMES)),
    created_before=_sometimes(st.sampled_from(TIMES)),
)


def parameters_of(wanted: Wanted, **more: object) -> Mapping[str, str]:
    """The parameters of a question, and these besides."""
    return {**wanted.parameters(), **{name: str(value) for name, value in more.items()}}
