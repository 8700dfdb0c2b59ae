"""Blobs in a folder."""

import hashlib
from pathlib import Path

import pytest

from ledger.blobs import BlobStore
from ledger.blobs.obstore import ObstoreBlobs, path_of
from ledger.errors import Unavailable
from ledger.ids import ProjectId

DATA = bytes(range(256))
HASH = hashlib.sha256(DATA).hexdigest()
SHOP = ProjectId("shop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder with ä" / "blobs"


@pytest.fixture
def blobs(folder: Path) -> ObstoreBlobs:
    return ObstoreBlobs(folder.as_uri())


def test_it_is_a_blob_store(blobs: ObstoreBlobs) -> None:
    assert isinstance(blobs, BlobStore)


@pytest.mark.parametrize("data", [DATA, b"", bytes(5_000_000)])
async def test_what_was_put_is_there_also_after_a_restart(blobs: ObstoreBlobs, folder: Path, data: bytes) -> None:
    await blobs.put(SHOP, HASH, data)
    assert await blobs.get(SHOP, HASH) == data
    assert await ObstoreBlobs(folder.as_uri()).get(SHOP, HASH) == data


async def test_putting_twice_is_harmless(blobs: ObstoreBlobs) -> None:
    await blobs.put(SHOP, HASH, DATA)
    await blobs.put(SHOP, HASH, DATA)
    assert await blobs.get(SHOP, HASH) == DATA


async def test_what_was_not_put_is_not_there(blobs: ObstoreBlobs) -> None:
    assert await blobs.get(SHOP, HASH) is None


async def test_a_project_has_no_blobs_of_another(blobs: ObstoreBlobs) -> None:
    await blobs.put(SHOP, HASH, DATA)
    assert await blobs.get(ProjectId("bank"), HASH) is None


@pytest.mark.parametrize("project", ["..", "a/b", "ä", "A", "a b", "%2e%2e", "\0"])
async def test_a_projects_name_may_hold_any_character(blobs: ObstoreBlobs, folder: Path, project: str) -> None:
    await blobs.put(ProjectId(project), HASH, DATA)
    assert await blobs.get(ProjectId(project), HASH) == DATA
    assert [file.relative_to(folder).as_posix() for file in folder.rglob(HASH)] == [path_of(ProjectId(project), HASH)]


def test_names_that_differ_in_their_case_do_not_meet_on_any_file_system() -> None:
    assert path_of(ProjectId("a"), HASH).lower() != path_of(ProjectId("A"), HASH).lower()


async def test_a_storage_that_does_not_work_is_unavailable(blobs: ObstoreBlobs, folder: Path) -> None:
    (folder / "media").write_text("a file where a folder must be")
    with pytest.raises(Unavailable, match="did not take"):
        await blobs.put(SHOP, HASH, DATA)
    with pytest.raises(Unavailable, match="did not give"):
        await blobs.get(SHOP, HASH)


async def test_other_storages_are_chosen_by_the_scheme_of_the_url() -> None:
    blobs = ObstoreBlobs("memory:///")
    await blobs.put(SHOP, HASH, DATA)
    assert await blobs.get(SHOP, HASH) == DATA
