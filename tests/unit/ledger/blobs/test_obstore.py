"""Blobs in a folder: where they lie, and a folder that does not work. The promises: `tests/contract/test_blobs.py`."""

import hashlib
from pathlib import Path

import pytest

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
