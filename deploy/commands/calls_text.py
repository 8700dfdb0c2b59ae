"""Logged calls as people read them in a terminal. Text that somebody sent cannot change the terminal's state."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.commands.printable import printable_line

Call = Mapping[str, Any]

UNKNOWN = "-"
_SMALLEST_SHOWN = Decimal("0.0001")
_RIGHT = frozenset({"status", "latency", "tokens", "cost"})
_LINE_WIDTHS = {"model": 24, "status": 5, "latency": 8, "tokens": 12, "cost": 10, "user": 12, "project": 10}


def table(calls: Sequence[Call]) -> None:
    """Print a table, as wide as the terminal; piped, each call is one line."""
    console = Console(soft_wrap=False)
    rows = [cells(call) for call in calls]
    if len({row["project"] for row in rows}) == 1:
        rows = [{name: cell for name, cell in row.items() if name != "project"} for row in rows]
    if not console.is_terminal:
        for row in rows:
            click.echo("  ".join(row.values()))
        return
    shown = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        right = "right" if name in _RIGHT else "left"
        shown.add_column(name, justify=right, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row.values()))
    console.print(shown)


def line(call: Call) -> str:
    """A call as one line of a list that grows: columns stand below each other where they fit."""
    row = cells(call)
    parts = []
    for name, cell in row.items():
        width = _LINE_WIDTHS.get(name, 0)
        parts.append(cell.rjust(width) if name in _RIGHT else cell.ljust(width))
    return "  ".join(parts).rstrip()


def json_line(value: object) -> str:
    """JSON on one line in which everything that is not printable is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(character if character.isprintable() else json.dumps(character).strip('"') for character in text)


def cells(call: Call) -> dict[str, str]:
    """What is shown of a call, by the names of the columns."""
    found = {
        "time": _local(call["created_at"]),
        "model": call["model_requested"] or call["model_served"] or UNKNOWN,
        "status": _status(call),
        "latency": latency(call["duration_ms"]),
        "tokens": f"{_count(call['input_tokens'])}→{_count(call['output_tokens'])}",
        "cost": cost(call["cost"], call["cost_reason"]),
        "user": call["user_id"] or UNKNOWN,
        "project": call["project"],
        "prompt": " ".join((call["prompt_preview"] or UNKNOWN).split()),
    }
    return {name: printable_line(cell) for name, cell in found.items()}


def latency(milliseconds: float | None) -> str:
    """With its unit."""
    if milliseconds is None:
        return UNKNOWN
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def cost(usd: str | None, reason: str | None) -> str:
    """Two significant digits below a dollar; an unknown cost is its reason and never 0."""
    if usd is None:
        return reason or "unknown"
    amount = Decimal(usd)
    if 0 < amount < _SMALLEST_SHOWN:
        return f"<${_SMALLEST_SHOWN}"
    if amount >= 1 or amount <= 0:
        return f"${amount:.2f}" if amount else "$0"
    return f"${amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1)):f}"


def _status(call: Call) -> str:
    code = call["status_code"]
    if code is None:
        return "error" if call["is_error"] else UNKNOWN
    return str(code)


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _local(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")
