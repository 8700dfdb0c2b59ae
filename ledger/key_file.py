"""Editing the key file: one editor at a time, whole or not at all, readable by its owner only."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ledger.keys import KeyFileContent, fresh_content, read_content


def edit(path: Path, change: Callable[[KeyFileContent], KeyFileContent]) -> KeyFileContent:
    """Replace the file by what `change` makes of it; a missing file begins empty. Durable on return."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_editor(path):
        content = change(read_content(path) if path.exists() else fresh_content())
        _replace(path, msgspec.json.format(msgspec.json.encode(content), indent=2))
    return content


@contextmanager
def _only_editor(path: Path) -> Iterator[None]:
    lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
