"""What is found in texts is what stands in them, whatever the engine's indexes say: they narrow a search, no more."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pytest
from clickhouse_connect.driver import Client
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from ledger.filtering.statements import Bound
from ledger.filtering.texts import BY_CHARACTER, BY_WORD, SIDES, found_in
from ledger.filtering.tree import Side, Words
from ledger.request_log import Bodies
from ledger.store.clickhouse import insert, open_client
from ledger.store.columns import BODY_COLUMNS
from ledger.store.migrations import available
from tests.support.builders import A_TIME, a_request_log, an_id
from tests.support.chdb_fixtures import fresh_database

SCHEMA = dict(available())
THE_TABLE, THE_INDEX = SCHEMA[2], SCHEMA[13]
WITHOUT_WHAT_IS_STORED = THE_INDEX.partition(",\n    MATERIALIZE")[0]
"""Only what is written from now on gets into the index."""

PIECES = (
    *("error", "Error", "timeout", "time", "a", "B", "é", "É", "e\N{COMBINING ACUTE ACCENT}", "1", "42", "2026"),
    *("ß", "ẞ", "İ", "ı", "Σ", "ς", "\N{KELVIN SIGN}", "\N{ANGSTROM SIGN}", "ﬁ", "ǅ"),
    *("привет", "ПРИВЕТ", "мир", "ё", "日本", "語", "ば", "か\N{COMBINING KATAKANA-HIRAGANA VOICED SOUND MARK}"),
    *("\N{GRINNING FACE}", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}", "العربية", "हिन्दी"),
    *(
        "%",
        "_",
        "\\",
        "'",
        '"',
        "\n",
        "\t",
        " ",
        " ",
        "-",
        "/",
        ":",
        "{p1:String}",
        "\N{NO-BREAK SPACE}",
        "\x7f",
        "\x01",
    ),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=12)
LETTER_CASES: Sequence[Callable[[str], str]] = (str, str, str.upper, str.lower, str.swapcase, str.title)


@dataclass(frozen=True, slots=True)
class Asked:
    """Texts that are stored in two batches, and what is looked for in them."""

    first: Sequence[Bodies]
    second: Sequence[Bodies]
    words: Sequence[Words]


BODIES = st.builds(Bodies, prompt=st.none() | TEXTS, completion=st.none() | TEXTS)
MANY = st.lists(BODIES, min_size=2, max_size=8)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Most of what is looked for is cut out of the texts, often in another letter case."""
    first, second = draw(MANY), draw(MANY)
    stored = [text for bodies in (*first, *second) for text in (bodies.prompt, bodies.completion) if text]
    texts = draw(st.lists(st.sampled_from(stored), max_size=8)) if stored else []
    words = [draw(_words(text)) for text in [*texts, *draw(st.lists(TEXTS.filter(bool), min_size=2, max_size=2))]]
    return Asked(first, second, words)


@st.composite
def _words(draw: st.DrawFn, text: str) -> Words:
    start = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(start + 1, min(len(text), start + 10)))
    return Words(draw(st.sampled_from(LETTER_CASES))(text[start:end]), draw(st.sampled_from(Side)))


@pytest.fixture(scope="module")
def client(chdb_engine: str) -> Iterator[Client]:
    """Of a database whose tables every example makes anew."""
    with fresh_database(chdb_engine) as dsn, closing(open_client(dsn)) as opened:
        yield opened


def write(client: Client, many: Sequence[Bodies], first_number: int) -> None:
    rows = [a_request_log(id=an_id(A_TIME, first_number + at), bodies=bodies) for at, bodies in enumerate(many)]
    insert(client, "request_bodies", BODY_COLUMNS, rows, str(first_number))


def found(client: Client, words: Sequence[Words]) -> list[set[int]]:
    """The numbers of the rows in which each of the words is found, by the condition that lists use."""
    bound = Bound()
    parts = [
        f"SELECT {at} AS of, groupArray(toUInt64(id % 1024)) FROM request_bodies"
        f" WHERE {found_in(each.text, SIDES[each.side], bound)}"
        for at, each in enumerate(words)
    ]
    statement = bound.statement(" UNION ALL ".join(parts))
    rows = client.query(statement.sql, parameters=dict(statement.values)).result_rows
    answer = {at: numbers for at, numbers in rows}
    return [set(answer[at]) for at in range(len(words))]


def expected(client: Client, many: Sequence[Bodies], words: Sequence[Words]) -> list[set[int]]:
    """The same by plain comparison of what the engine calls lower case."""
    prompts = lowered(client, [bodies.prompt or "" for bodies in many])
    completions = lowered(client, [bodies.completion or "" for bodies in many])
    return [
        {
            number
            for number, sides in enumerate(zip(prompts, completions, strict=True))
            if any(text in dict(zip(SIDES[Side.BOTH], sides, strict=True))[column] for column in SIDES[each.side])
        }
        for each, text in zip(words, lowered(client, [each.text for each in words]), strict=True)
    ]


def lowered(client: Client, texts: Sequence[str]) -> list[str]:
    sql = "SELECT arrayMap(text -> lowerUTF8(text), {texts:Array(String)})"
    return list(client.query(sql, parameters={"texts": list(texts)}).result_rows[0][0])


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
)
@given(asked())
@example(Asked([Bodies(prompt="300 kelvin")], [Bodies(prompt="300 \N{KELVIN SIGN}")], [Words("0 \N{KELVIN SIGN}")]))
@example(Asked([Bodies(prompt="ΟΔΟΣ", completion="α")], [Bodies(prompt="οδοσ")], [Words("ΔΟΣ"), Words("σ")]))
def test_a_text_is_found_exactly_where_it_stands_without_the_index_with_it_and_in_between(
    client: Client, asked: Asked
) -> None:
    client.command("DROP TABLE IF EXISTS request_bodies SYNC")
    client.command(THE_TABLE)
    whole = expected(client, [*asked.first, *asked.second], asked.words)
    only_first = [{number for number in numbers if number < len(asked.first)} for numbers in whole]
    write(client, asked.first, 0)
    assert found(client, asked.words) == only_first
    client.command(WITHOUT_WHAT_IS_STORED)
    assert found(client, asked.words) == only_first
    write(client, asked.second, len(asked.first))
    assert found(client, asked.words) == whole
    client.command(THE_INDEX)
    assert found(client, asked.words) == whole
    client.command("OPTIMIZE TABLE request_bodies FINAL")
    assert found(client, asked.words) == whole


def test_the_schema_indexes_what_is_asked() -> None:
    lines = [line.strip() for line in THE_INDEX.splitlines()]
    for name, expression in (("by_word", BY_WORD), ("by_character", BY_CHARACTER)):
        assert lines[lines.index(f"ADD INDEX IF NOT EXISTS {name}") + 1] == expression


@pytest.mark.parametrize(("text", "indexes"), [("timeout", {"by_word"}), ("привет", {"by_character"})])
def test_the_engine_uses_the_index_that_knows_the_text(client: Client, text: str, indexes: set[str]) -> None:
    client.command("DROP TABLE IF EXISTS request_bodies SYNC")
    client.command(THE_TABLE)
    client.command(THE_INDEX)
    for number, stored in enumerate(["timeout", "привет", "nothing of it"]):
        write(client, [Bodies(prompt=stored)], number)
    bound = Bound()
    wanted = found_in(text, SIDES[Side.BOTH], bound)
    statement = bound.statement(f"EXPLAIN indexes = 1 SELECT id FROM request_bodies WHERE {wanted}")
    plan = [line.strip() for (line,) in client.query(statement.sql, parameters=dict(statement.values)).result_rows]
    assert {name for name in ("by_word", "by_character") if f"Name: {name}" in plan} == indexes
    assert plan[plan.index(f"Name: {min(indexes)}") :].count("Parts: 1/3") == 1
