"""The blob store over obstore: a folder, S3, GCS or Azure, chosen by the URL's scheme.

obstore's folder does not fsync. What a row names must survive a power cut as the row does, so the folder's files and
their directories are synced here before `put` returns.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from ledger.blobs import StoredBlob
from ledger.clock import to_milliseconds
from ledger.errors import Unavailable
from ledger.ids import ProjectId

LISTED_AT_A_TIME = 500


class ObstoreBlobs:
    """`BlobStore` and `ErasableBlobs` at a URL: `file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…`."""

    def __init__(self, url: str) -> None:
        self._folder = Path(unquote(urlsplit(url).path)) if urlsplit(url).scheme == "file" else None
        self._store: ObjectStore = LocalStore(self._folder, mkdir=True) if self._folder else from_url(url)

    async def put(self, project: ProjectId, sha256: str, data: bytes) -> None:
        """Stored on return. Raises `Unavailable` when the storage does not answer."""
        path = path_of(project, sha256)
        try:
            await obstore.put_async(self._store, path, data)
        except BaseError as error:
            raise Unavailable(f"The blob store did not take a blob: {type(error).__name__}.") from error
        if self._folder:
            await asyncio.to_thread(_sync, self._folder, self._folder / path)

    async def get(self, project: ProjectId, sha256: str) -> bytes | None:
        """The content, or None when this project has none of that hash. Raises `Unavailable`."""
        try:
            found = await obstore.get_async(self._store, path_of(project, sha256))
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise Unavailable(f"The blob store did not give a blob: {type(error).__name__}.") from error

    async def stored(self, project: ProjectId) -> AsyncIterator[Sequence[StoredBlob]]:
        """Everything that the project has, a few hundred at a time. Raises `Unavailable`."""
        prefix = path_of(project, "")
        try:
            async for part in obstore.list(self._store, prefix, chunk_size=LISTED_AT_A_TIME):
                yield [
                    StoredBlob(item["path"].rpartition("/")[2], to_milliseconds(item["last_modified"])) for item in part
                ]
        except BaseError as error:
            raise Unavailable(f"The blob store did not list its blobs: {type(error).__name__}.") from error

    async def written_at(self, project: ProjectId, sha256: str) -> int | None:
        """When it was written last, in milliseconds since 1970; None when there is none. Raises `Unavailable`."""
        try:
            found = await obstore.head_async(self._store, path_of(project, sha256))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise Unavailable(f"The blob store did not find a blob: {type(error).__name__}.") from error
        return to_milliseconds(found["last_modified"])

    async def delete(self, project: ProjectId, sha256: str) -> None:
        """Gone on return. Raises `Unavailable` when the storage does not answer."""
        path = path_of(project, sha256)
        try:
            await obstore.delete_async(self._store, path)
        except FileNotFoundError:
            return
        except BaseError as error:
            raise Unavailable(f"The blob store did not delete a blob: {type(error).__name__}.") from error
        if self._folder:
            await asyncio.to_thread(_sync, self._folder, (self._folder / path).parent)


def path_of(project: ProjectId, sha256: str) -> str:
    """Where a project's blob is. The project is written in hex: it may hold any character."""
    return f"media/{project.encode().hex()}/{sha256}"


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
