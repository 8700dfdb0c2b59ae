"""The blob store: where media of logged calls are kept, per project, by the hash of their content.

And claims: bodies too large for the bus, each under a name of its own, from before their record is on the bus.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ledger.ids import ProjectId


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that is there, and when it was written last (milliseconds since 1970, by the storage's clock)."""

    sha256: str
    written_at: int


@runtime_checkable
class BlobStore(Protocol):
    """Keeps bytes under `media/<project>/<sha256>`. Raises `Unavailable` when the storage does not answer."""

    async def put(self, project: ProjectId, sha256: str, data: bytes) -> None:
        """Stored on return; storing the same content twice is harmless."""

    async def get(self, project: ProjectId, sha256: str) -> bytes | None:
        """The content, or None when this project has none of that hash."""


@runtime_checkable
class ErasableBlobs(Protocol):
    """The same storage, for whoever erases. Raises `Unavailable` when the storage does not answer."""

    def stored(self, project: ProjectId) -> AsyncIterator[Sequence[StoredBlob]]:
        """Everything that the project has, a few hundred at a time, in no order."""

    async def written_at(self, project: ProjectId, sha256: str) -> int | None:
        """When it was written last, in milliseconds since 1970; None when the project has none of that hash."""

    async def delete(self, project: ProjectId, sha256: str) -> None:
        """Gone on return, after a power cut too; deleting what is not there is harmless."""

    async def delete_claim(self, name: str) -> None:
        """The same for a claim."""

    async def delete_unfinished(self, before: int) -> int:
        """Delete what killed processes have left of what they wrote before this (milliseconds). How many went."""


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """A claim that is there, and when it was written (milliseconds since 1970, by the storage's clock)."""

    name: str
    written_at: int


@runtime_checkable
class Claims(Protocol):
    """Keeps bodies under `claims/…`, for whoever hands them over and reads them back."""

    async def put_claim(self, name: str, body: bytes) -> None:
        """Stored on return, also after a power cut. Raises `Unavailable` when the storage did not take it."""

    async def claim(self, name: str) -> bytes | None:
        """The body, or None when there is none of that name. Raises `Unavailable`."""

    async def delete_claim(self, name: str) -> None:
        """Gone on return; deleting what is not there is harmless. Raises `Unavailable`."""


@runtime_checkable
class LookableClaims(Protocol):
    """The same storage, for whoever only looks whether a claim is there."""

    async def has_claim(self, name: str) -> bool:
        """Whether there is one of that name. Raises `Unavailable`."""


@runtime_checkable
class SweepableClaims(Protocol):
    """The same storage, for whoever sweeps. Raises `Unavailable` when the storage does not answer."""

    def claims(self) -> AsyncIterator[Sequence[StoredClaim]]:
        """All claims of all projects, a few hundred at a time, in no order."""

    async def delete_claim(self, name: str) -> None:
        """Gone on return; deleting what is not there is harmless."""
