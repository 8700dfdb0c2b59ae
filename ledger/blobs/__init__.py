"""The blob store: where media of logged calls are kept, per project, by the hash of their content."""

from typing import Protocol, runtime_checkable

from ledger.ids import ProjectId


@runtime_checkable
class BlobStore(Protocol):
    """Keeps bytes under `media/<project>/<sha256>`. Raises `Unavailable` when the storage does not answer."""

    async def put(self, project: ProjectId, sha256: str, data: bytes) -> None:
        """Stored on return; storing the same content twice is harmless."""

    async def get(self, project: ProjectId, sha256: str) -> bytes | None:
        """The content, or None when this project has none of that hash."""
