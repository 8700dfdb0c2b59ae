"""The standalone's folder: private, prepared again at each start, used by one process at a time."""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from deploy.data_folder import FIRST_PROJECT, DataFolder
from ledger.bus.sqlite_log import SqliteLog
from ledger.ids import ProjectId
from ledger.keys import KeyRing, Scope


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataFolder]:
    """A folder that does not exist yet; the process's temporary folder is afterwards what it was."""
    before = tempfile.tempdir
    yield DataFolder(tmp_path / "new" / "data with space")
    tempfile.tempdir = before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(data: DataFolder) -> DataFolder:
    data.make()
    data.prepare()
    return data


def test_everything_in_the_folder_is_private(data: DataFolder) -> None:
    made(data)
    folders = [data.root, *(path for path in data.root.rglob("*") if path.is_dir())]
    assert {mode(folder) for folder in folders} == {0o700}
    assert {folder.name for folder in folders[1:]} >= {"store", "blobs", "tmp"}


def test_the_temporary_folder_is_emptied_at_each_start_and_used_by_the_process(data: DataFolder) -> None:
    made(data)
    left_behind = Path(tempfile.gettempdir()) / "left by a kill"
    left_behind.write_text("bodies in plain text")
    assert left_behind.parent == data.root / "tmp"
    made(data)
    assert not left_behind.exists()


def test_what_is_kept_stays_at_the_next_start(data: DataFolder) -> None:
    made(data)
    kept = [data.store / "part", data.root / "blobs" / "blob", data.log, data.keys]
    for path in kept:
        path.write_text("{}")
    made(data)
    assert all(path.exists() for path in kept)


def test_the_engine_is_configured_to_sync(data: DataFolder) -> None:
    made(data)
    config = data.engine_config.read_text()
    assert "<fsync_after_insert>1<" in config
    assert "<fsync_part_directory>1<" in config


def test_the_parts_have_addresses_inside_of_the_folder(data: DataFolder) -> None:
    assert data.store_dsn == f"chdb://{data.root}/store"
    assert Path(unquote(urlsplit(data.blobs_url).path)) == data.root / "blobs"


def test_the_first_start_makes_a_key_that_may_write_and_read(data: DataFolder) -> None:
    made(data)
    key = data.first_key()
    assert key is not None
    principal = KeyRing(data.keys).find(key)
    assert principal is not None
    assert principal.project == ProjectId(FIRST_PROJECT)
    assert principal.scopes == {Scope.INGEST, Scope.QUERY}
    assert KeyRing(data.keys).id_secret(ProjectId(FIRST_PROJECT))
    assert mode(data.keys) == 0o600


def test_later_starts_make_none(data: DataFolder) -> None:
    made(data)
    key = data.first_key()
    before = data.keys.read_bytes()
    assert data.first_key() is None
    assert key is not None
    assert data.keys.read_bytes() == before


def test_a_running_process_says_where_it_is_until_it_ends(data: DataFolder) -> None:
    made(data)
    data.announce("http://127.0.0.1:8000", "secret")
    assert json.loads(data.run_file.read_text()) == {
        "url": "http://127.0.0.1:8000",
        "pid": os.getpid(),
        "token": "secret",
    }
    assert mode(data.run_file) == 0o600
    data.run_file.chmod(0o644)
    data.announce("http://a", "other")
    assert mode(data.run_file) == 0o600
    assert json.loads(data.run_file.read_text())["url"] == "http://a"
    data.withdraw()
    data.withdraw()
    assert not data.run_file.exists()


async def test_the_folder_is_in_use_while_its_log_is_open(data: DataFolder) -> None:
    made(data)
    assert not data.is_in_use()
    log = SqliteLog(data.log)
    assert data.is_in_use()
    await log.close()
    assert not data.is_in_use()
