"""Logs: a constant sentence, fields for the rest. JSON for machines, one plain line for people.

What a sender sent never gets here; what does is cut and freed of control characters all the same.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from ledger.errors import Misconfigured

_QUIETER = {
    "aiokafka": logging.CRITICAL,  # it repeats each failed connection; what we wait for, we say ourselves
    "faststream": logging.WARNING,
    "clickhouse_connect": logging.CRITICAL,  # it logs values that it cannot serialise
    "urllib3": logging.ERROR,  # likewise
    "uvicorn": logging.ERROR,  # its warnings are one per bad request; we count those
}
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
MAX_FIELD_CHARACTERS = 200


def set_up_logging(form: str, level: str) -> None:
    """Log to stderr. `form` is `json`, `console` or `auto` (console on a terminal). Raises `Misconfigured`."""
    if form not in {"json", "console", "auto"}:
        raise Misconfigured(f"LLMLEDGER_LOG_FORMAT must be auto, console or json, not {form[:40]!r}.")
    if level.upper() not in logging.getLevelNamesMapping():
        raise Misconfigured(f"LLMLEDGER_LOG_LEVEL must be debug, info, warning or error, not {level[:40]!r}.")
    plain = form == "console" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(ConsoleFormatter() if plain else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(max(root.level, least))


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        line |= {name: _shown(value) for name, value in _fields(record).items()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class ConsoleFormatter(logging.Formatter):
    """Time, level, sentence, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = " ".join(f"{name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = str(value)[:MAX_FIELD_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in text)
