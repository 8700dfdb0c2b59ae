"""The standalone product as its user runs it: one process on a data folder, known by the banner that it prints."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.access import Access
from tests.support.child_process import Child, start_command

FIRST_PROJECT = "default"
_LAST_LINE = "Ctrl-C to stop"


@dataclass(frozen=True, slots=True)
class Standalone:
    """A product that has said that it is ready."""

    child: Child
    data: Path
    banner: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where it answers."""
        return _found(r"Report to +(http\S+)/api/v1/report", self.banner) or ""

    @property
    def first_key(self) -> str | None:
        """The key in the banner: the first start prints one."""
        return _found(r"Key +(llmledger_\S+)", self.banner)

    def access(self, key: str | None = None, project: str = FIRST_PROJECT) -> Access:
        """What this key opens; without one, the key in the banner."""
        chosen = key or self.first_key
        assert chosen, "this start has printed no key"
        return Access(self.url, chosen, project)

    def stop(self) -> None:
        """Ctrl-C. Fails unless it ends in good order."""
        code = self.child.interrupt()
        assert code == 0, f"exit {code}\n{self.child.messages()}"

    def kill(self) -> None:
        """As a crash would end it."""
        self.child.kill()


def start_standalone(
    home: Path, arguments: Sequence[str] = ("--port", "0"), settings: Mapping[str, str] | None = None
) -> Standalone:
    """Start the product on the folder `data` of `home` and return once it is ready. Whoever calls this ends it."""
    data = home / "data"
    child = start_command(["--data", str(data), *arguments], home, settings)
    try:
        return Standalone(child, data, tuple(child.lines_until(_LAST_LINE)))
    except BaseException:
        child.kill()
        raise


def _found(pattern: str, lines: Sequence[str]) -> str | None:
    match = re.search(pattern, "\n".join(lines))
    return match.group(1) if match else None
