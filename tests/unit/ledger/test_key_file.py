"""Editing the key file: whole or not at all, one editor at a time, for its owner only."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import Misconfigured
from ledger.key_file import edit
from ledger.keys import KeyFileContent, Scope, read_content, with_new_key, without_key


def with_key_of(project: str, content: KeyFileContent) -> KeyFileContent:
    return with_new_key(content, project, [Scope.QUERY], "2026-01-01").content


def test_a_missing_file_begins_empty_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"
    content = edit(path, lambda content: with_key_of("acme", content))
    assert list(content.projects) == ["acme"]
    assert read_content(path) == content


def test_the_file_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    edit(path, lambda content: content)
    assert {(file.name, stat.S_IMODE(file.stat().st_mode)) for file in tmp_path.iterdir()} == {
        ("keys.json", 0o600),
        ("keys.json.lock", 0o600),
    }


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    edit(path, lambda content: with_key_of("acme", content))
    before = path.read_bytes()
    with pytest.raises(Misconfigured):
        edit(path, lambda content: without_key(content, "nope"))
    assert path.read_bytes() == before
    edit(path, lambda content: content)  # the lock was let go


def test_editors_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    projects = [f"project-{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda project: edit(path, lambda content: with_key_of(project, content)), projects))
    assert sorted(read_content(path).projects) == sorted(projects)


def test_a_broken_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"{ half")
    with pytest.raises(Misconfigured):
        edit(path, lambda content: content)
    assert path.read_bytes() == b"{ half"
