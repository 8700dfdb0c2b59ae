"""Log lines: one each, whatever is in the fields."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from ledger.errors import Misconfigured
from ledger.telemetry import MAX_FIELD_CHARACTERS, ConsoleFormatter, JsonFormatter, set_up_logging


def a_record(message: str = "Batch stored.", error: BaseException | None = None, **fields: object) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("workers.pipeline", logging.WARNING, __file__, 1, message, (), info)
    vars(record).update(fields)
    record.created = 1773500966.535
    return record


def test_a_json_line_has_the_sentence_and_the_fields() -> None:
    line = JsonFormatter().format(a_record(stored=3, share=0.5, ok=True, none=None, name_="ä"))
    assert json.loads(line) == {
        "ts": "2026-03-14T15:09:26.535+00:00",
        "level": "warning",
        "logger": "workers.pipeline",
        "msg": "Batch stored.",
        "stored": 3,
        "share": 0.5,
        "ok": True,
        "none": None,
        "name_": "ä",
    }


def test_a_console_line_has_the_sentence_and_the_fields() -> None:
    line = ConsoleFormatter().format(a_record(stored=3))
    assert line.endswith(" warning Batch stored. stored=3")


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
def test_what_a_field_holds_cannot_break_the_line_or_flood_it(formatter: logging.Formatter) -> None:
    hostile = "a\nb\r\x1b[31m\u202e\u2028" + "x" * 1000
    line = formatter.format(a_record(text=hostile))
    assert not set("\n\r\x1b\u202e\u2028") & set(line)
    assert "a?b??[31m??xxx" in line
    assert line.count("x") <= MAX_FIELD_CHARACTERS


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
def test_an_exception_is_told_with_its_place(formatter: logging.Formatter) -> None:
    def fail() -> None:
        raise ValueError("what went wrong")

    with pytest.raises(ValueError, match="what") as caught:
        fail()
    line = formatter.format(a_record(error=caught.value))
    assert "what went wrong" in line
    assert "in fail" in line
    if isinstance(formatter, JsonFormatter):
        assert "\n" not in line


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, which is afterwards as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {
        name: logging.getLogger(name).level for name in ("aiokafka", "faststream", "clickhouse_connect", "uvicorn")
    }
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


@pytest.mark.parametrize(("form", "formatter"), [("json", JsonFormatter), ("console", ConsoleFormatter)])
def test_the_form_is_chosen_by_name(root: logging.Logger, form: str, formatter: type) -> None:
    set_up_logging(form, "info")
    (handler,) = root.handlers
    assert isinstance(handler.formatter, formatter)
    assert root.level == logging.INFO
    assert logging.getLogger("uvicorn").level == logging.ERROR


def test_auto_is_json_where_nobody_looks_on(root: logging.Logger) -> None:
    set_up_logging("auto", "error")
    (handler,) = root.handlers
    assert isinstance(handler.formatter, ConsoleFormatter if sys.stderr.isatty() else JsonFormatter)
    assert logging.getLogger("uvicorn").level == logging.ERROR


@pytest.mark.parametrize(
    ("form", "level", "name"), [("xml", "info", "LLMLEDGER_LOG_FORMAT"), ("json", "loud", "LLMLEDGER_LOG_LEVEL")]
)
def test_a_form_or_level_that_is_none_is_refused_by_name(
    root: logging.Logger, form: str, level: str, name: str
) -> None:
    before = root.handlers[:]
    with pytest.raises(Misconfigured, match=name):
        set_up_logging(form, level)
    assert root.handlers == before
