"""The limits: plain SQL for the same answers, without deduplication; and the same with it, to check ours by.

For each answer there are a few ways to ask; the fastest of them, in the same run, is the limit. A statement knows only
what the request says: no bound in time that the request does not give.
"""

from collections.abc import Sequence

from ledger.filtering.texts import BY_WORD
from ledger.store.columns import ROW_COLUMNS, select_list
from query_api.views import LISTED_BODIES
from tests.bench.query.commands import Plain
from tests.bench.query.dataset import PROJECT

OURS = f"project = '{PROJECT}' AND is_deleted = 0"
NEWEST = "created_at DESC, id DESC"

_ALL = select_list(ROW_COLUMNS)
_KEY = "created_at, id"
_BODIES = ", ".join(LISTED_BODIES)
_SHOWN = "toString(id), status_code, model_requested, user_id, cost"


def page_ways(where: str, size: int, order: str = NEWEST) -> tuple[Plain, ...]:
    """All columns of the first rows that match: at once, or their keys first."""
    keys = f"SELECT {_KEY} FROM request_logs WHERE {where} ORDER BY {order} LIMIT {size}"
    return (
        Plain("at once", (f"SELECT {_ALL} FROM request_logs WHERE {where} ORDER BY {order} LIMIT {size}",)),
        Plain(
            "keys inside",
            (f"SELECT {_ALL} FROM request_logs WHERE {OURS} AND ({_KEY}) IN ({keys}) ORDER BY {order} LIMIT {size}",),
        ),
        Plain("keys first", keys=_as_text(keys), then=(f"SELECT {_ALL} FROM request_logs WHERE {OURS} AND {{keys}}",)),
    )


def counted_page_ways(where: str, size: int, order: str) -> tuple[Plain, ...]:
    """The documented form: the count of all that match, the rows, and their bodies."""
    count = f"SELECT count() FROM request_logs WHERE {where}"
    keys = f"SELECT {_KEY} FROM request_logs WHERE {where} ORDER BY {order} LIMIT {size}"
    rows = f"SELECT {_ALL} FROM request_logs WHERE {OURS} AND {{keys}}"
    bodies = f"SELECT id, {_BODIES} FROM request_bodies WHERE {OURS} AND {{keys}}"
    return (
        Plain("keys first", (count,), _as_text(keys), (rows, bodies)),
        Plain(
            "rows at once",
            (
                count,
                f"SELECT {_ALL} FROM request_logs WHERE {where} ORDER BY {order} LIMIT {size}",
                f"SELECT id, {_BODIES} FROM request_bodies WHERE {OURS} AND ({_KEY}) IN ({keys})",
            ),
        ),
    )


def search_ways(word: str, size: int) -> tuple[Plain, ...]:
    """The newest rows whose prompt or completion holds the word, in any letter case."""
    ways = []
    for name, condition in word_conditions(word):
        keys = f"SELECT {_KEY} FROM request_bodies WHERE {OURS} AND ({condition}) ORDER BY {NEWEST} LIMIT {size}"
        then = (f"SELECT {_ALL} FROM request_logs WHERE {OURS} AND {{keys}}",)
        ways.append(Plain(name, keys=_as_text(keys), then=then))
    return tuple(ways)


def word_conditions(word: str) -> Sequence[tuple[str, str]]:
    """Ways to ask for a word, each with its name. All of them find the same rows of this data set.

    The first needs no index; the others use that of the schema, where the words are lower-cased.
    """
    lower = word.lower()
    return (
        (
            "no index",
            f"positionCaseInsensitive(prompt, '{word}') > 0 OR positionCaseInsensitive(completion, '{word}') > 0",
        ),
        ("index, anywhere", f"{BY_WORD} LIKE '%{lower}%'"),
        ("index, whole words", f"hasAllTokens({BY_WORD}, ['{lower}'])"),
    )


def count_ways(where: str) -> tuple[Plain, ...]:
    """How many match."""
    return (Plain("count", (f"SELECT count() FROM request_logs WHERE {where}",)),)


def true_page(where: str, size: int, order: str = NEWEST) -> str:
    """What of each row is compared with our page."""
    return f"SELECT {_SHOWN} FROM request_logs FINAL WHERE {where} ORDER BY {order} LIMIT {size}"


def true_search(word: str, size: int, candidates: int) -> str:
    """The same for a word: deduplicated are only rows any version of which holds it, the newest so many."""
    _, condition = word_conditions(word)[0]
    some = f"SELECT {_KEY} FROM request_bodies WHERE project = '{PROJECT}' AND ({condition})"
    some = f"{some} ORDER BY {NEWEST} LIMIT {candidates}"
    keys = f"SELECT {_KEY} FROM request_bodies FINAL WHERE {OURS} AND ({condition}) AND ({_KEY}) IN ({some})"
    return true_page(f"{OURS} AND ({_KEY}) IN ({keys} ORDER BY {NEWEST} LIMIT {size})", size)


def true_count(where: str) -> str:
    """How many there are."""
    return f"SELECT count() FROM request_logs FINAL WHERE {where}"


def true_bodies(where: str, size: int, order: str) -> str:
    """The completions of a page of the documented form."""
    keys = f"SELECT {_KEY} FROM request_logs FINAL WHERE {where} ORDER BY {order} LIMIT {size}"
    return f"SELECT toString(id), completion FROM request_bodies FINAL WHERE {OURS} AND ({_KEY}) IN ({keys})"


def _as_text(keys: str) -> str:
    return keys.replace(f"SELECT {_KEY} FROM", "SELECT toString(created_at), id FROM", 1)
