"""What standalone says when it is ready: where it is, a key on the first start, and a line that works as pasted."""

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

SAMPLE = (
    '{"statusCode":200,'
    '"reqPayload":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hi"}]},'
    '"respPayload":{"model":"gpt-4o-mini","choices":[{"message":{"role":"assistant","content":"Hi!"}}],'
    '"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}}'
)


@dataclass(frozen=True, slots=True)
class Banner:
    """The facts of a start."""

    url: str
    data: Path
    first_key: str | None
    wanted_port: int
    seconds: float
    kept: str  # how long calls are kept, in words
    command: str = field(default_factory=lambda: sys.argv[0])

    def lines(self) -> Iterator[str]:
        """One line each, for stdout."""
        yield f"llmledger {version('llmledger')}  ready in {self.seconds:.1f} s  (data: {self.data}, standalone)"
        if self.wanted_port not in (0, urlsplit(self.url).port):  # 0 asks for any port
            yield f"  Port {self.wanted_port} is taken: this is the next free one."
        yield f"  Report to   {self.url}/api/v1/report"
        yield f"  List        {self.url}/api/v1/requests"
        yield f"  API         {self.url}/schema"
        yield from self._key_lines()
        yield f"  Demo        {self._command('demo')}"
        yield f"  Keeps       {self.kept}; change it with {self._command('retention', 'set')} --days 90"
        yield "  Ctrl-C to stop; data is kept.  llmledger --help"

    def _key_lines(self) -> Iterator[str]:
        create = f"{self._command('keys', 'create')} --project default --scope ingest --scope query"
        if self.first_key is None:
            yield f"  Another key {create}"
            return
        header = f"'Authorization: Bearer {self.first_key}'"
        yield f"  Key         {self.first_key}  (project default; shown this once)"
        yield f"  More keys   {create}"
        yield f"  Try it      curl -s {self.url}/api/v1/report -H {header} -d '{SAMPLE}'"
        yield f"  Then        curl -s {self.url}/api/v1/requests -H {header}"

    def _command(self, *words: str) -> str:
        """A command of this installation on this data folder, as a shell takes it."""
        return shlex.join([os.path.relpath(self.command), *words, "--data", str(self.data)])
