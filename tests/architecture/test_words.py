"""What the project must not say: names of machines, registries or papers that its readers do not have."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

FORBIDDEN = re.compile(
    r"\.\./shared|/work/|pypi\.org|pythonhosted|registry\.npmjs|repo1?\.maven|deb\.debian"
    r"|\b(architecture|style|wire|cost|storage|throughput|reliability|real-parts|ops|peers|dashboard)\.md\b",
    re.IGNORECASE,
)
OWN_DOCUMENTS = {"architecture.md"}


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_file_names_what_its_reader_does_not_have() -> None:
    for path in tracked_files():
        if path == Path(__file__) or path.suffix in {".gz", ".png"} or not path.is_file():
            continue
        found = {match.group().lower() for match in FORBIDDEN.finditer(path.read_text(errors="replace"))}
        assert found <= OWN_DOCUMENTS, f"{path.relative_to(ROOT)} names {found}"
