"""Blobs in a folder: where they lie, and a folder that does not work. The promises: `tests/contract/test_blobs.py`."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ledger.blobs.obstore import ObstoreBlobs, path_of
from ledger.errors import Misconfigured, Unavailable
from ledger.ids import ProjectId

DATA = bytes(range(256))
HASH = hashlib.sha256(DATA).hexdigest()
SHOP = ProjectId("shop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder with ä" / "blobs"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def blobs(folder: Path) -> ObstoreBlobs:
    return ObstoreBlobs(folder.as_uri())


@pytest.mark.parametrize("project", ["..", "a/b", "ä", "A", "a b", "%2e%2e", "\0"])
async def test_a_projects_blobs_lie_below_the_folder(blobs: ObstoreBlobs, folder: Path, project: str) -> None:
    await blobs.put(ProjectId(project), HASH, DATA)
    assert [file.relative_to(folder).as_posix() for file in folder.rglob(HASH)] == [path_of(ProjectId(project), HASH)]


def test_names_that_differ_in_their_case_do_not_meet_on_any_file_system() -> None:
    assert path_of(ProjectId("a"), HASH).lower() != path_of(ProjectId("A"), HASH).lower()


async def test_a_storage_that_does_not_work_is_unavailable(blobs: ObstoreBlobs, folder: Path) -> None:
    (folder / "media").write_text("a file where a folder must be")
    with pytest.raises(Unavailable, match="did not take"):
        await blobs.put(SHOP, HASH, DATA)
    with pytest.raises(Unavailable, match="did not give"):
        await blobs.get(SHOP, HASH)
    with pytest.raises(Unavailable, match="did not delete"):
        await blobs.delete(SHOP, HASH)


async def test_a_claim_lies_where_its_name_says(blobs: ObstoreBlobs, folder: Path) -> None:
    await blobs.put_claim("claims/73686f70/2026-03-14/one", DATA)
    assert (folder / "claims" / "73686f70" / "2026-03-14" / "one").read_bytes() == DATA


async def test_a_disk_that_does_not_sync_is_unavailable(folder: Path) -> None:
    def full(root: Path, file: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    blobs = ObstoreBlobs(folder.as_uri(), sync=full)
    with pytest.raises(Unavailable, match="No space left"):
        await blobs.put(SHOP, HASH, DATA)
    with pytest.raises(Unavailable, match="No space left"):
        await blobs.delete(SHOP, HASH)


@pytest.mark.parametrize(
    "url", ["", "blobs", "/srv/blobs", "ftp://host/x", "s3://", "s3:///x", "file://srv/blobs", "file://", "http://[x/"]
)
def test_what_can_never_be_a_place_is_said_with_the_name_of_its_variable(url: str) -> None:
    with pytest.raises(Misconfigured, match="LLMLEDGER_BLOBS__URL"):
        ObstoreBlobs(url)


async def test_what_cannot_be_opened_now_is_an_outage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "not mounted yet"))
    with pytest.raises(Unavailable, match="cannot be opened"):
        await ObstoreBlobs("gs://bucket/prefix").claim("claims/x")


async def test_what_a_killed_process_has_left_goes_when_it_is_old(blobs: ObstoreBlobs, folder: Path) -> None:
    await blobs.put_claim("claims/73686f70/2026-03-14/one", DATA)
    await blobs.put(SHOP, HASH, DATA)
    whole = [file for file in folder.rglob("*") if file.is_file()]
    for number, file in enumerate(whole):
        file.with_name(f"{file.name}#{number}").write_bytes(b"the beg")
    young = folder / "media" / "73686f70" / "young#12"
    young.write_bytes(b"")
    now = young.stat().st_mtime
    for file in [*whole, *(file for file in folder.rglob("*#*") if file != young)]:
        os.utime(file, (now - 100, now - 100))
    assert await blobs.delete_unfinished(int(now - 50) * 1000) == len(whole) == 2
    assert sorted(file for file in folder.rglob("*") if file.is_file()) == sorted([*whole, young])
    assert await ObstoreBlobs("memory:///").delete_unfinished(2**60) == 0
