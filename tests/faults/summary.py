"""One table of all runs: what was asked, what was done to the product, and what became of what it had accepted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.faults.verdict import Counts, Result

FAILED_AS_IT_MUST, CONTROL_PASSED = "FAILED AS IT MUST", "CONTROL PASSED"


@dataclass(slots=True)
class Line:
    """All runs of one scenario."""

    scenario: str
    title: str
    control: bool
    asked: int
    done: int = 0
    faults: int = 0
    counts: Counts = field(default_factory=Counts)
    results: list[Result] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    seconds: float = 0.0
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """PASS, MISMATCH or CHECK_ERROR; of a control, whether it failed as it must."""
        if Result.CHECK_ERROR in self.results or self.done < self.asked:
            return Result.CHECK_ERROR.value
        if self.control:
            failed = all(result is Result.MISMATCH for result in self.results)
            return FAILED_AS_IT_MUST if failed else CONTROL_PASSED
        return (Result.MISMATCH if Result.MISMATCH in self.results else Result.PASS).value


def exit_code(lines: Sequence[Line]) -> int:
    """0 when all is as it must be, 1 when something was lost or a control passed, 2 when something was not read."""
    results = {line.result for line in lines}
    if results & {Result.MISMATCH.value, CONTROL_PASSED}:
        return 1
    return 2 if Result.CHECK_ERROR.value in results or not lines else 0


_HEADS = (
    "scenario",
    "what",
    "runs",
    "faults",
    "ack",
    "visible",
    "dead",
    "unknown seen",
    "retries",
    "mismatches",
    "result",
    "s",
)


def markdown(lines: Sequence[Line]) -> str:
    """The table for people."""
    rows = [
        [
            line.scenario,
            line.title,
            f"{line.done}/{line.asked}",
            str(line.faults),
            str(line.counts.acknowledged),
            str(line.counts.visible),
            str(line.counts.dead_letters),
            str(line.counts.unknown_visible),
            str(line.counts.retries),
            str(len(line.mismatches)),
            line.result,
            f"{line.seconds:.0f}",
        ]
        for line in lines
    ]
    table = [list(_HEADS), ["---"] * len(_HEADS), *rows]
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    found = [f"- {line.scenario}: {what}" for line in lines for what in line.mismatches[:20]]
    return "\n".join([text, "", "Duplicates in storage cannot be seen through the API: not available.", *found, ""])


def write_summary(lines: Sequence[Line], folder: Path) -> None:
    """The table as `summary.md`, and all of it as `summary.json`."""
    (folder / "summary.md").write_text(markdown(lines))
    plain = [{**msgspec.to_builtins(line), "result": line.result} for line in lines]
    (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(plain)))
