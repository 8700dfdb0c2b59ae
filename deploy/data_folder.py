"""The standalone's folder: what lies where in it, and who may use it at a time."""

import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from ledger.key_file import edit
from ledger.keys import KeyFileContent, Scope, with_new_key

FIRST_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths below one folder."""

    root: Path

    @property
    def keys(self) -> Path:
        """Hashed API keys and the projects' id secrets: part of every backup."""
        return self.root / "keys.json"

    @property
    def log(self) -> Path:
        """The SQLite log."""
        return self.root / "log.sqlite"

    @property
    def mark(self) -> Path:
        """What the worker is trying for the first time since its start."""
        return self.root / "attempt"

    @property
    def store(self) -> Path:
        """The embedded engine's own folder."""
        return self.root / "store"

    @property
    def store_dsn(self) -> str:
        """How to open the embedded engine."""
        return f"chdb://{self.store.resolve()}"

    @property
    def blobs_url(self) -> str:
        """Where media are."""
        return (self.root / "blobs").resolve().as_uri()

    @property
    def engine_config(self) -> Path:
        """The embedded engine's configuration, written at each start."""
        return self.root / "engine.xml"

    @property
    def run_file(self) -> Path:
        """The address of the process that runs on this folder, and the token that opens it to local commands."""
        return self.root / "run.json"

    def make(self) -> None:
        """Make the folder and the engine's own, private. What is there stays as it is: a process may be at work."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store.mkdir(exist_ok=True, mode=0o700)

    def prepare(self) -> None:
        """Make what is in the folder, private too, and empty the temporary folder. For the only process on it."""
        (self.root / "blobs").mkdir(exist_ok=True, mode=0o700)
        self.engine_config.write_text(files("deploy").joinpath("chdb-engine.xml").read_text())
        temporary = self.root / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)  # inserts pass through files, which a kill leaves behind
        temporary.mkdir(mode=0o700)
        tempfile.tempdir = str(temporary)

    def is_in_use(self) -> bool:
        """Whether a process runs on the folder: then it holds the log's lock."""
        try:
            descriptor = os.open(self.log.with_name(f"{self.log.name}.lock"), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def first_key(self) -> str | None:
        """On the first start: make a project and a key, and return the key. None when there are keys."""
        made: list[str] = []

        def add(content: KeyFileContent) -> KeyFileContent:
            if content.keys:
                return content
            new = with_new_key(content, FIRST_PROJECT, [Scope.INGEST, Scope.QUERY], datetime.now(UTC).isoformat())
            made.append(new.key)
            return new.content

        edit(self.keys, add)
        return made[0] if made else None

    def announce(self, url: str, token: str) -> None:
        """Write where this process listens and what opens it, for commands of this user that want to reach it."""
        descriptor = os.open(self.run_file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)  # a file that was there keeps its mode
            json.dump({"url": url, "pid": os.getpid(), "token": token}, file)

    def withdraw(self) -> None:
        """The process has ended."""
        self.run_file.unlink(missing_ok=True)
