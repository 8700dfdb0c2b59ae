"""How the sending is coming on: a bar on a terminal, elsewhere a line every ten seconds. Both go to stderr."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.demo.sending import Tally

_LINE_SECONDS = 10.0
_BAR_SECONDS = 0.1

Show = Callable[[Tally], None]


@contextmanager
def shown_progress(tally: Tally, total: int | None, say: Callable[[str], None]) -> Iterator[None]:
    """Shows how far the tally is, for as long as the block runs. Needs a running event loop."""
    console = Console(stderr=True)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("Sending", total=total)
            with _repeating(lambda: bar.update(task, completed=tally.accepted), _BAR_SECONDS):
                yield
    else:
        of = "" if total is None else f" of {total}"
        with _repeating(lambda: say(f"{tally.accepted}{of} calls accepted"), _LINE_SECONDS):
            yield


@contextmanager
def _repeating(action: Callable[[], None], seconds: float) -> Iterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            action()

    task = asyncio.get_running_loop().create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
