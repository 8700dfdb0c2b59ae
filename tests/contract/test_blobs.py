"""What every blob store promises, wherever it keeps them: a folder, this process's memory, a bucket of S3."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.blobs import BlobStore, Claims, ErasableBlobs, LookableClaims, StoredBlob, StoredClaim, SweepableClaims
from ledger.blobs.obstore import LISTED_AT_A_TIME, ObstoreBlobs
from ledger.errors import Unavailable
from ledger.ids import ProjectId
from ledger.settings import MAX_BODY_BYTES
from tests.support.s3_server import S3Server, running_s3

DATA = bytes(range(256))
HASH = hashlib.sha256(DATA).hexdigest()
SHOP = ProjectId("shop")
CLAIM = "claims/73686f70/2026-03-14/019ceca7-8c57-7000-8000-000000abcdef-00ff00ff00ff00ff"

NOWHERE = {
    "aws_endpoint": "http://127.0.0.1:1",
    "aws_region": "us-east-1",
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
}

PLACES = ["folder", "memory", "s3"]
"""One fixture `opening_<name>` per place."""


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """A server for all tests of this module."""
    with running_s3() as server:
        yield server


@pytest.fixture
def opening_folder(tmp_path: Path) -> Callable[[], ObstoreBlobs]:
    folder = tmp_path / "a folder with ä" / "blobs"
    folder.mkdir(parents=True)
    return lambda: ObstoreBlobs(folder.as_uri())


@pytest.fixture
def opening_memory() -> Callable[[], ObstoreBlobs]:
    blobs = ObstoreBlobs("memory:///")
    return lambda: blobs


@pytest.fixture
def opening_s3(s3: S3Server) -> Callable[[], ObstoreBlobs]:
    url = s3.make_bucket(f"bucket-{uuid4().hex[:12]}")
    return lambda: ObstoreBlobs(url, s3.options)


@pytest.fixture(params=PLACES)
def opening(request: pytest.FixtureRequest) -> Callable[[], ObstoreBlobs]:
    """Opens the same place anew, as after a restart."""
    chosen: Callable[[], ObstoreBlobs] = request.getfixturevalue(f"opening_{request.param}")
    return chosen


@pytest.fixture
def blobs(opening: Callable[[], ObstoreBlobs]) -> ObstoreBlobs:
    return opening()


def test_it_has_every_role(blobs: ObstoreBlobs) -> None:
    for role in (BlobStore, ErasableBlobs, Claims, LookableClaims, SweepableClaims):
        assert isinstance(blobs, role)


@pytest.mark.parametrize("data", [DATA, b"", bytes(6_000_000)])
async def test_what_was_put_is_there_also_after_a_restart(opening: Callable[[], ObstoreBlobs], data: bytes) -> None:
    await opening().put(SHOP, HASH, data)
    assert await opening().get(SHOP, HASH) == data


async def test_putting_twice_is_harmless(blobs: ObstoreBlobs) -> None:
    await blobs.put(SHOP, HASH, DATA)
    await blobs.put(SHOP, HASH, DATA)
    assert await blobs.get(SHOP, HASH) == DATA


async def test_what_was_not_put_is_not_there(blobs: ObstoreBlobs) -> None:
    assert await blobs.get(SHOP, HASH) is None
    assert await blobs.claim(CLAIM) is None
    assert not await blobs.has_claim(CLAIM)
    assert await all_claims(blobs) == []


async def test_a_project_has_no_blobs_of_another(blobs: ObstoreBlobs) -> None:
    await blobs.put(SHOP, HASH, DATA)
    assert await blobs.get(ProjectId("bank"), HASH) is None


@pytest.mark.parametrize("project", ["..", "a/b", "ä", "A", "a b", "%2e%2e", "\0"])
async def test_a_projects_name_may_hold_any_character(blobs: ObstoreBlobs, project: str) -> None:
    await blobs.put(ProjectId(project), HASH, DATA)
    assert await blobs.get(ProjectId(project), HASH) == DATA
    assert [blob.sha256 for blob in await all_of(blobs, ProjectId(project))] == [HASH]


async def all_of(blobs: ErasableBlobs, project: ProjectId = SHOP) -> list[StoredBlob]:
    return [blob async for part in blobs.stored(project) for blob in part]


async def all_claims(blobs: SweepableClaims) -> list[StoredClaim]:
    return [claim async for part in blobs.claims() for claim in part]


async def test_what_is_deleted_is_gone_and_nothing_else(blobs: ObstoreBlobs) -> None:
    other = "0" * 64
    for project, sha256 in ((SHOP, HASH), (SHOP, other), (ProjectId("bank"), HASH)):
        await blobs.put(project, sha256, DATA)
    await blobs.delete(SHOP, HASH)
    assert await blobs.get(SHOP, HASH) is None
    assert await blobs.written_at(SHOP, HASH) is None
    assert [blob.sha256 for blob in await all_of(blobs)] == [other]
    assert await blobs.get(ProjectId("bank"), HASH) == DATA


async def test_deleting_what_is_not_there_is_harmless(blobs: ObstoreBlobs) -> None:
    await blobs.delete(SHOP, HASH)
    await blobs.put(SHOP, HASH, DATA)
    await blobs.delete(SHOP, HASH)
    await blobs.delete(SHOP, HASH)


async def test_a_blob_says_when_it_was_written_last(blobs: ObstoreBlobs) -> None:
    await blobs.put(SHOP, HASH, DATA)
    first = await blobs.written_at(SHOP, HASH)
    await blobs.put(SHOP, HASH, DATA)
    again = await blobs.written_at(SHOP, HASH)
    assert first is not None
    assert again is not None
    assert first <= again
    assert await all_of(blobs) == [StoredBlob(HASH, again)]


async def test_a_project_without_blobs_has_none_to_list(blobs: ObstoreBlobs) -> None:
    await blobs.put(ProjectId("shopping"), HASH, DATA)
    assert await all_of(blobs) == []


async def test_more_blobs_than_are_listed_at_a_time_are_all_listed(blobs: ObstoreBlobs) -> None:
    wanted = {f"{number:064x}" for number in range(LISTED_AT_A_TIME + 3)}
    async with asyncio.TaskGroup() as tasks:
        for sha256 in wanted:
            tasks.create_task(blobs.put(SHOP, sha256, b""))
    assert {blob.sha256 for blob in await all_of(blobs)} == wanted


async def test_a_claim_of_the_largest_size_is_kept_byte_for_byte(opening: Callable[[], ObstoreBlobs]) -> None:
    body = os.urandom(MAX_BODY_BYTES)
    await opening().put_claim(CLAIM, body)
    assert await opening().claim(CLAIM) == body


async def test_claims_are_no_blobs_and_blobs_are_no_claims(blobs: ObstoreBlobs) -> None:
    await blobs.put(SHOP, HASH, DATA)
    await blobs.put_claim(CLAIM, DATA)
    assert [blob.sha256 for blob in await all_of(blobs)] == [HASH]
    (claim,) = await all_claims(blobs)
    assert claim.name == CLAIM
    assert abs(claim.written_at - (await blobs.written_at(SHOP, HASH) or 0)) < 60_000


async def test_a_deleted_claim_is_gone_and_no_other(blobs: ObstoreBlobs) -> None:
    other = CLAIM.replace("73686f70", "62616e6b")
    for name in (CLAIM, other):
        await blobs.put_claim(name, DATA)
    assert await blobs.has_claim(CLAIM)
    await blobs.delete_claim(CLAIM)
    await blobs.delete_claim(CLAIM)
    assert await blobs.claim(CLAIM) is None
    assert [claim.name for claim in await all_claims(blobs)] == [other]


@pytest.fixture(params=["folder", "s3"])
def nowhere(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path) -> ObstoreBlobs:
    """A place of blobs that is not there."""
    if request.param == "s3":
        return ObstoreBlobs("s3://nobody-made-this/ledger", s3.options)
    return ObstoreBlobs((tmp_path / "mount" / "blobs").as_uri())


async def test_a_place_that_is_not_there_is_an_outage_and_not_empty(nowhere: ObstoreBlobs, tmp_path: Path) -> None:
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: nowhere.put(SHOP, HASH, DATA),
        lambda: nowhere.put_claim(CLAIM, DATA),
        lambda: nowhere.get(SHOP, HASH),
        lambda: nowhere.claim(CLAIM),
        lambda: nowhere.has_claim(CLAIM),
        lambda: nowhere.written_at(SHOP, HASH),
        lambda: nowhere.delete_claim(CLAIM),
        lambda: all_claims(nowhere),
        lambda: all_of(nowhere),
    ]
    for ask in asked:
        with pytest.raises(Unavailable, match="blob store"):
            await ask()
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_goes_away_is_an_outage_until_it_is_back(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "blobs", tmp_path / "elsewhere"
    blobs = ObstoreBlobs(folder.as_uri())
    with pytest.raises(Unavailable, match="blob store"):
        await blobs.put_claim(CLAIM, DATA)
    folder.mkdir()
    await blobs.put_claim(CLAIM, DATA)
    folder.rename(elsewhere)
    for ask in (blobs.claim, blobs.has_claim, blobs.delete_claim):
        with pytest.raises(Unavailable, match="is away"):
            await ask(CLAIM)
    elsewhere.rename(folder)
    assert await blobs.claim(CLAIM) == DATA


async def test_a_server_that_is_away_is_unavailable(s3: S3Server) -> None:
    blobs = ObstoreBlobs("s3://bucket/ledger", {**s3.options, "config": NOWHERE, "retry_config": {"max_retries": 0}})
    with pytest.raises(Unavailable, match="did not take"):
        await blobs.put(SHOP, HASH, DATA)
    with pytest.raises(Unavailable, match="did not find"):
        await blobs.written_at(SHOP, HASH)


async def test_the_environment_says_where_the_bucket_is(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3.make_bucket("told-by-the-environment")
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    await ObstoreBlobs(url).put_claim(CLAIM, DATA)
    assert await ObstoreBlobs(url, s3.options).claim(CLAIM) == DATA
