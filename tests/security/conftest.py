"""One standalone product for all tests of this folder that attack a process: it logs everything it ever would."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.key_file import edit
from ledger.keys import ALL_PROJECTS, KeyFileContent, Scope, with_new_key
from tests.support.standalone_process import FIRST_PROJECT, Standalone, start_standalone

OTHER_PROJECT = "other"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is, and what it may do."""

    project: str
    scopes: tuple[Scope, ...]


HOLDERS = {
    "ingest": Holder(FIRST_PROJECT, (Scope.INGEST,)),
    "query": Holder(FIRST_PROJECT, (Scope.QUERY,)),
    "admin": Holder(FIRST_PROJECT, (Scope.ADMIN,)),
    "ingest, query": Holder(FIRST_PROJECT, (Scope.INGEST, Scope.QUERY)),
    "every scope": Holder(FIRST_PROJECT, (Scope.INGEST, Scope.QUERY, Scope.ADMIN)),
    "no scope": Holder(FIRST_PROJECT, ()),
    "query of all": Holder(ALL_PROJECTS, (Scope.QUERY,)),
    "admin of all": Holder(ALL_PROJECTS, (Scope.ADMIN,)),
    "query of another": Holder(OTHER_PROJECT, (Scope.QUERY,)),
}


def add_keys(file: Path) -> dict[str, str]:
    """A new key in this file for each holder."""
    made: dict[str, str] = {}

    def add(content: KeyFileContent) -> KeyFileContent:
        for name, holder in HOLDERS.items():
            new = with_new_key(content, holder.project, list(holder.scopes), "2026-01-01T00:00:00Z")
            content, made[name] = new.content, new.key
        return content

    edit(file, add)
    return made


@pytest.fixture(scope="session")
def attacked_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the attacked product lives."""
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="session")
def keys_by_scope(attacked_home: Path) -> dict[str, str]:
    """The keys of the attacked product, made before it starts, so that no test waits until one is in force."""
    (attacked_home / "data").mkdir(mode=0o700)
    return add_keys(attacked_home / "data" / "keys.json")


@pytest.fixture(scope="session")
def attacked(attacked_home: Path, keys_by_scope: dict[str, str]) -> Iterator[Standalone]:
    """A started product; it must survive everything and end in good order."""
    settings = {"LLMLEDGER_LOG_LEVEL": "debug", "LLMLEDGER_LOG_FORMAT": "json"}
    running = start_standalone(attacked_home, settings=settings)
    try:
        yield running
        running.stop()
    finally:
        running.kill()
