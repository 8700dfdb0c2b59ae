"""Any text survives CSV and NDJSON, and no cell of CSV is a formula."""

import csv
import io
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from ledger.request_log import Bodies, RequestLog
from query_api.export.columns import LIGHT, Item
from query_api.export.text_forms import Csv, Ndjson, safe
from tests.support.builders import a_request_log

NAMES = ("id", "user_id", "prompt", "cost", "metadata")
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
STORED = st.text(st.characters(exclude_categories=["Cs"]))
TEXTS = STORED | st.builds(str.__add__, st.sampled_from([*FORMULA, "'", "''=", '"', ",", "\r\n", "\0", ""]), STORED)


def an_item(user_id: str, prompt: str) -> Item:
    log: RequestLog = a_request_log(user_id=user_id, metadata=(("said", prompt),))
    return Item(log, Bodies(prompt=prompt))


def without_guard(cell: str) -> str:
    """What was logged, as the documentation says."""
    return cell[1:] if re.match("'+[=+\\-@\t\r\n＝＋－＠]", cell) else cell


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_any_text_survives_csv(texts: list[tuple[str, str]]) -> None:
    form = Csv(NAMES)
    content = form.begin() + form.page([an_item(*pair) for pair in texts]) + form.end()
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))
    assert [(without_guard(row["user_id"]), without_guard(row["prompt"])) for row in rows] == texts
    assert [json.loads(row["metadata"])["said"] for row in rows] == [prompt for _, prompt in texts]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(FORMULA)]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_any_text_survives_ndjson(texts: list[tuple[str, str]]) -> None:
    form = Ndjson(NAMES)
    content = form.begin() + form.page([an_item(*pair) for pair in texts]) + form.end()
    rows = [json.loads(line) for line in content.split(b"\n")[:-1]]
    assert [(row["user_id"], row["prompt"]) for row in rows] == texts
    assert [row["metadata"]["said"] for row in rows] == [prompt for _, prompt in texts]


@given(TEXTS)
def test_what_a_spreadsheet_gets_is_the_text_or_the_text_after_an_apostrophe(text: str) -> None:
    assert safe(text) in (text, f"'{text}")
    assert without_guard(safe(text)) == text


def test_a_cell_that_is_only_text_stays_as_it_is() -> None:
    assert [safe(text) for text in ("", "a=b", "'twas", " =1", "1-2")] == ["", "a=b", "'twas", " =1", "1-2"]
    assert [safe(text) for text in ("=1", "'=1", "@x", "\tx")] == ["'=1", "''=1", "'@x", "'\tx"]


def test_lines_end_as_the_standard_says() -> None:
    form = Csv(("id", "is_error", "cost"))
    log = a_request_log(cost=-5 * 10**11)
    assert form.begin() + form.page([Item(log, Bodies())]) == f"id,is_error,cost\r\n{log.id},false,-0.5\r\n".encode()


def test_all_columns_of_the_list_have_a_cell() -> None:
    form = Csv(LIGHT)
    (header, cells) = csv.reader(io.StringIO((form.begin() + form.page([an_item("a", "b")])).decode()))
    assert (header, len(cells)) == (list(LIGHT), len(LIGHT))
