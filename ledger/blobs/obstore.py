"""The blob store over obstore: a folder, S3, GCS or Azure, chosen by the URL's scheme.

obstore's folder does not fsync. What a row names must survive a power cut as the row does, so the folder's files and
their directories are synced here before `put` returns. A bucket or a folder that is not there is an outage, not an
empty one: whoever asks for a blob must not take it for lost. No folder is made here: its disk may just be away.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from ledger.blobs import StoredBlob, StoredClaim
from ledger.clock import to_milliseconds
from ledger.errors import Misconfigured, Unavailable
from ledger.ids import ProjectId

LISTED_AT_A_TIME = 500
CLAIMS = "claims"
MEDIA = "media"

_HERE = ("file", "memory")
_NETWORK = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https")
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}  # by then whoever asked is told, and tries again
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")  # as S3, Azure and GCS put it
_UNFINISHED = re.compile(r".+#\d+", re.ASCII)  # as obstore names a file in a folder that it has not written to its end


class ObstoreBlobs:
    """`BlobStore`, `ErasableBlobs` and claims at a URL: `file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…`.

    Where a bucket is and who may use it are what its cloud's own tools read from the environment (`AWS_…`,
    `GOOGLE_…`, `AZURE_…`); `options` of obstore's `from_url` replace that.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        sync: Callable[[Path, Path], None] | None = None,
    ) -> None:
        """Opens nothing yet: where the storage is away now, it may be there later. A folder has to be made before.

        Raises `Misconfigured` when the URL says no place at all.
        """
        scheme, path = _parts_of(url)
        patience: dict[str, Any] = {"retry_config": _RETRIES} if scheme in _NETWORK else {}
        self._folder = Path(unquote(path)) if scheme == "file" else None
        self._url = url
        self._options = {**patience, **(options or {})}
        self._sync = sync or _sync
        self._opened: ObjectStore | None = None

    async def put(self, project: ProjectId, sha256: str, data: bytes) -> None:
        """Stored on return. Raises `Unavailable` when the storage does not answer."""
        await self._put(path_of(project, sha256), data)

    async def get(self, project: ProjectId, sha256: str) -> bytes | None:
        """The content, or None when this project has none of that hash. Raises `Unavailable`."""
        return await self._get(path_of(project, sha256))

    async def stored(self, project: ProjectId) -> AsyncIterator[Sequence[StoredBlob]]:
        """Everything that the project has, a few hundred at a time. Raises `Unavailable`."""
        async for part in self._listed(path_of(project, "")):
            yield [StoredBlob(path.rpartition("/")[2], written_at) for path, written_at in part]

    async def written_at(self, project: ProjectId, sha256: str) -> int | None:
        """When it was written last, in milliseconds since 1970; None when there is none. Raises `Unavailable`."""
        return await self._written_at(path_of(project, sha256))

    async def delete(self, project: ProjectId, sha256: str) -> None:
        """Gone on return. Raises `Unavailable` when the storage does not answer."""
        await self._delete(path_of(project, sha256))

    async def put_claim(self, name: str, body: bytes) -> None:
        """Stored on return. Raises `Unavailable` when the storage does not answer."""
        await self._put(name, body)

    async def claim(self, name: str) -> bytes | None:
        """The body, or None when there is none of that name. Raises `Unavailable`."""
        return await self._get(name)

    async def has_claim(self, name: str) -> bool:
        """Whether there is one of that name. Raises `Unavailable`."""
        return await self._written_at(name) is not None

    async def claims(self) -> AsyncIterator[Sequence[StoredClaim]]:
        """All claims, a few hundred at a time. Raises `Unavailable`."""
        async for part in self._listed(CLAIMS):
            yield [StoredClaim(path, written_at) for path, written_at in part]

    async def delete_claim(self, name: str) -> None:
        """Gone on return. Raises `Unavailable` when the storage does not answer."""
        await self._delete(name)

    async def delete_unfinished(self, before: int) -> int:
        """Delete what processes that were killed have left of what they wrote, if it is older than that.

        Milliseconds since 1970. How many went; only a folder has such. Raises `Unavailable`.
        """
        if self._folder is None:
            return 0
        await self._be_there()
        try:
            return await asyncio.to_thread(_delete_unfinished, self._folder, before)
        except OSError as error:
            raise Unavailable(f"The blob store did not delete what is unfinished: {error.strerror}.") from error

    async def _put(self, path: str, data: bytes) -> None:
        await self._be_there()
        try:
            with _said("take a blob"):  # in one request: parts of an upload that was cut short would stay in the bucket
                await obstore.put_async(self._store(), path, data, use_multipart=False)
        except FileNotFoundError as error:
            raise Unavailable("The blob store did not take a blob: it has no place for it.") from error
        if self._folder:
            await self._synced(self._folder, self._folder / path)

    async def _get(self, path: str) -> bytes | None:
        try:
            with _said("give a blob"):
                found = await obstore.get_async(self._store(), path)
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            await self._be_there()
            return None

    async def _written_at(self, path: str) -> int | None:
        try:
            with _said("find a blob"):
                found = await obstore.head_async(self._store(), path)
        except FileNotFoundError:
            await self._get(path)  # the answer to a HEAD has no body to tell a bucket from a blob that is not there
            return None
        return to_milliseconds(found["last_modified"])

    async def _listed(self, prefix: str) -> AsyncIterator[list[tuple[str, int]]]:
        await self._be_there()
        try:
            with _said("list its blobs"):
                async for part in obstore.list(self._store(), prefix, chunk_size=LISTED_AT_A_TIME):
                    yield [(item["path"], to_milliseconds(item["last_modified"])) for item in part]
        except FileNotFoundError:
            return

    async def _delete(self, path: str) -> None:
        try:
            with _said("delete a blob"):
                await obstore.delete_async(self._store(), path)
        except FileNotFoundError:
            await self._be_there()
            return
        if self._folder:
            await self._synced(self._folder, (self._folder / path).parent)

    def _store(self) -> ObjectStore:
        if self._opened is None:
            try:
                self._opened = LocalStore(self._folder) if self._folder else from_url(self._url, **self._options)
            except BaseError as error:
                why = f"{self._folder} is no folder" if self._folder else str(error).partition("\n")[0]
                raise Unavailable(f"The blob store cannot be opened: {why}.") from error
        return self._opened

    async def _be_there(self) -> None:
        """Raises `Unavailable` when the folder is away: nothing may be written where it belongs, nor missed there."""
        if self._folder and not await asyncio.to_thread(self._folder.is_dir):
            raise Unavailable(f"The blob store is away: {self._folder} is no folder. Mount it, or make it.")

    async def _synced(self, root: Path, file: Path) -> None:
        try:
            await asyncio.to_thread(self._sync, root, file)
        except OSError as error:
            raise Unavailable(f"The blob store did not sync its folder: {error.strerror}.") from error


def path_of(project: ProjectId, sha256: str) -> str:
    """Where a project's blob is. The project is written in hex: it may hold any character."""
    return f"{MEDIA}/{project.encode().hex()}/{sha256}"


def _parts_of(url: str) -> tuple[str, str]:
    """Scheme and path. Raises `Misconfigured`."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Misconfigured(f"LLMLEDGER_BLOBS__URL is no URL: {error}.") from error
    if parts.scheme not in (*_HERE, *_NETWORK):
        raise Misconfigured(
            f"LLMLEDGER_BLOBS__URL must begin with file://, s3://, gs:// or az://, not with {parts.scheme!r}."
        )
    if parts.scheme == "file" and (parts.netloc or not parts.path):
        raise Misconfigured("LLMLEDGER_BLOBS__URL of a folder has three slashes: file:///folder.")
    if parts.scheme in _NETWORK and not parts.netloc:
        raise Misconfigured(f"LLMLEDGER_BLOBS__URL names no bucket: {parts.scheme}://bucket/prefix.")
    return parts.scheme, parts.path


@contextmanager
def _said(what: str) -> Iterator[None]:
    """What goes wrong in the storage is `Unavailable`, but for what is just not there (`FileNotFoundError`)."""
    try:
        yield
    except FileNotFoundError as error:
        if any(sign in str(error) for sign in _NO_BUCKET):
            raise Unavailable(f"The blob store did not {what}: there is no such bucket.") from error
        raise
    except BaseError as error:
        raise Unavailable(f"The blob store did not {what}: {type(error).__name__}.") from error


def _sync(root: Path, file: Path) -> None:
    at = file
    while True:
        descriptor = os.open(at, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if at == root:
            return
        at = at.parent


def _delete_unfinished(root: Path, before: int) -> int:
    count = 0
    for part in (CLAIMS, MEDIA):
        for folder, _, names in os.walk(root / part):
            for file in (Path(folder, name) for name in names if _UNFINISHED.fullmatch(name)):
                if file.stat().st_mtime * 1000 < before:
                    file.unlink(missing_ok=True)
                    count += 1
    return count
