"""Blobs in a folder."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from ledger.blobs import BlobStore, ErasableBlobs, StoredBlob
from ledger.blobs.obstore import LISTED_AT_A_TIME, ObstoreBlobs, path_of
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
    assert isinstance(blobs, ErasableBlobs)


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
    with pytest.raises(Unavailable, match="did not delete"):
        await blobs.delete(SHOP, HASH)


async def test_other_storages_are_chosen_by_the_scheme_of_the_url() -> None:
    blobs = ObstoreBlobs("memory:///")
    await blobs.put(SHOP, HASH, DATA)
    assert await blobs.get(SHOP, HASH) == DATA


async def all_of(blobs: ErasableBlobs, project: ProjectId = SHOP) -> list[StoredBlob]:
    return [blob async for part in blobs.stored(project) for blob in part]


@pytest.fixture(params=["folder", "memory"])
def erasable(request: pytest.FixtureRequest, folder: Path) -> ObstoreBlobs:
    return ObstoreBlobs(folder.as_uri() if request.param == "folder" else "memory:///")


async def test_what_is_deleted_is_gone_and_nothing_else(erasable: ObstoreBlobs) -> None:
    other = "0" * 64
    for project, sha256 in ((SHOP, HASH), (SHOP, other), (ProjectId("bank"), HASH)):
        await erasable.put(project, sha256, DATA)
    await erasable.delete(SHOP, HASH)
    assert await erasable.get(SHOP, HASH) is None
    assert await erasable.written_at(SHOP, HASH) is None
    assert [blob.sha256 for blob in await all_of(erasable)] == [other]
    assert await erasable.get(ProjectId("bank"), HASH) == DATA


async def test_deleting_what_is_not_there_is_harmless(erasable: ObstoreBlobs) -> None:
    await erasable.delete(SHOP, HASH)
    await erasable.put(SHOP, HASH, DATA)
    await erasable.delete(SHOP, HASH)
    await erasable.delete(SHOP, HASH)


async def test_a_blob_says_when_it_was_written_last(erasable: ObstoreBlobs) -> None:
    await erasable.put(SHOP, HASH, DATA)
    first = await erasable.written_at(SHOP, HASH)
    await erasable.put(SHOP, HASH, DATA)
    again = await erasable.written_at(SHOP, HASH)
    assert first is not None
    assert again is not None
    assert first <= again
    assert await all_of(erasable) == [StoredBlob(HASH, again)]


async def test_a_project_without_blobs_has_none_to_list(erasable: ObstoreBlobs) -> None:
    await erasable.put(ProjectId("shopping"), HASH, DATA)
    assert await all_of(erasable) == []


async def test_more_blobs_than_are_listed_at_a_time_are_all_listed(erasable: ObstoreBlobs) -> None:
    wanted = {f"{number:064x}" for number in range(LISTED_AT_A_TIME + 3)}
    async with asyncio.TaskGroup() as tasks:
        for sha256 in wanted:
            tasks.create_task(erasable.put(SHOP, sha256, b""))
    assert {blob.sha256 for blob in await all_of(erasable)} == wanted
