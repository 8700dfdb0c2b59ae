"""API keys: a small file of hashes, read by every service, edited by `llmledger keys`.

A key reads `llmledger_live_<id>_<secret>_<checksum>`. The file keeps HMAC-SHA256(pepper, secret), never the secret; it
also keeps each project's id secret, which is never rotated: without it the project's ids cannot be told from foreign
ones. The file is read again when it changes, so a revoked key stops working within `RELOAD_SECONDS`.
"""

import hmac
import re
import secrets
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec

from ledger.errors import Misconfigured
from ledger.ids import ProjectId

RELOAD_SECONDS = 2.0
_PROJECT_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
ALL_PROJECTS = ProjectId("*")
_NO_HASH = "0" * 64  # as long as a hash: an unknown key costs what a known one costs
MOST_REMEMBERED = 4096  # a holder can write one key in many ways: what stands before its id does not count


class Scope(StrEnum):
    """What a key may do."""

    INGEST = "ingest"
    QUERY = "query"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: the only thing that is known of a key after it was checked."""

    key_id: str
    project: ProjectId
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the key has this scope."""
        return scope in self.scopes


class StoredKey(msgspec.Struct, frozen=True):
    """One key as the file keeps it."""

    id: str
    project: str
    scopes: list[Scope]
    hash: str
    created_at: str


class KeyFileContent(msgspec.Struct, frozen=True):
    """The whole file. Bytes are base64 text."""

    version: int
    pepper: str
    projects: dict[str, str] = {}  # project → id secret
    keys: list[StoredKey] = []


def fresh_content() -> KeyFileContent:
    """A key file without projects and keys."""
    return KeyFileContent(version=1, pepper=_secret_text())


def read_content(path: Path) -> KeyFileContent:
    """The file's content. Raises `Misconfigured` when it is missing or cannot be read."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=KeyFileContent)
        for secret in (content.pepper, *content.projects.values()):
            b64decode(secret, validate=True)
        return content
    except FileNotFoundError as error:
        raise Misconfigured(f"The key file {path} does not exist. Make a key: llmledger keys create.") from error
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise Misconfigured(f"The key file {path} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class NewKey:
    """What making a key gives: the file with it, and the key's text, which is shown once."""

    content: KeyFileContent
    key: str
    key_id: str


def with_new_key(content: KeyFileContent, project: str, scopes: list[Scope], created_at: str) -> NewKey:
    """The content with one more key (and the project, when it is new)."""
    if project != ALL_PROJECTS and not _PROJECT_NAME.fullmatch(project):
        raise Misconfigured("A project's name has 1 to 100 letters, digits, dots, dashes or underscores.")
    if project == ALL_PROJECTS and Scope.INGEST in scopes:
        raise Misconfigured("A key of all projects can read only: leave out the scope ingest.")
    key_id = secrets.token_hex(4)
    secret = secrets.token_urlsafe(32)
    hashed = _hash(b64decode(content.pepper), secret)
    stored = StoredKey(id=key_id, project=project, scopes=scopes, hash=hashed, created_at=created_at)
    projects = content.projects
    if project != ALL_PROJECTS and project not in projects:
        projects = {**projects, project: _secret_text()}
    changed = msgspec.structs.replace(content, projects=projects, keys=[*content.keys, stored])
    unsigned = f"llmledger_live_{key_id}_{secret}"
    return NewKey(changed, f"{unsigned}_{_checksum(unsigned)}", key_id)


def without_key(content: KeyFileContent, key_id: str) -> KeyFileContent:
    """The content without this key. Raises `Misconfigured` when there is none of that id."""
    kept = [key for key in content.keys if key.id != key_id]
    if len(kept) == len(content.keys):
        raise Misconfigured(f"There is no key with the id {key_id}.")
    return msgspec.structs.replace(content, keys=kept)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of the file at one time, and the keys that were found good since then."""

    pepper: bytes = b""
    keys: Mapping[str, StoredKey] = field(default_factory=dict)
    principals: Mapping[str, Principal] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    remembered: dict[bytes, Principal] = field(default_factory=dict)  # by a digest of the key

    def checked(self, text: str) -> Principal | None:
        """Whose key this is, checked in full."""
        key_id, secret = _parse(text)
        stored = self.keys.get(key_id)
        expected = stored.hash if stored else _NO_HASH
        matches = hmac.compare_digest(_hash(self.pepper, secret), expected)
        return self.principals[key_id] if stored and matches else None

    def remember(self, digest: bytes, principal: Principal) -> None:
        """Find the key of this digest without checking it again."""
        if len(self.remembered) >= MOST_REMEMBERED:
            self.remembered.clear()
        self.remembered[digest] = principal


def _known_of(content: KeyFileContent) -> _Known:
    return _Known(
        b64decode(content.pepper),
        {key.id: key for key in content.keys},
        {key.id: Principal(key.id, ProjectId(key.project), frozenset(key.scopes)) for key in content.keys},
        {project: b64decode(secret) for project, secret in content.projects.items()},
    )


@dataclass(slots=True)
class KeyRing:
    """The keys of a file, as services ask for them. Reads the file again when it has changed.

    A good key is remembered by a digest until the file is read again: checking one takes 6 us, and a report 50.
    `start_token` is one more key, of all projects, that lives as long as the process and is in no key file: with it
    the commands on this machine reach the product that runs here. Threads may share a ring: what was read takes the
    place of what was known in one step.
    """

    path: Path
    now: Callable[[], float] = time.monotonic
    start_token: str | None = field(default=None, repr=False)
    _checked_at: float = field(default=-RELOAD_SECONDS, init=False)
    _stamp: tuple[int, int, int] | None = field(default=None, init=False)
    _known: _Known = field(default_factory=_Known, init=False, repr=False)
    _digest_key: bytes = field(default_factory=partial(secrets.token_bytes, 32), init=False, repr=False)

    def find(self, text: str) -> Principal | None:
        """Whose key this is; None for a key that is not (or no longer) in the file."""
        if self.start_token and hmac.compare_digest(text.encode(), self.start_token.encode()):
            return _OF_THE_START
        known = self._refreshed()
        digest = blake2b(text.encode(), key=self._digest_key, digest_size=16).digest()
        principal = known.remembered.get(digest)
        if principal is None:  # what is not there is checked in full every time
            principal = known.checked(text)
            if principal is not None:
                known.remember(digest, principal)
        return principal

    def knows_project(self, project: str) -> bool:
        """Whether the file names this project."""
        return project in self._refreshed().secrets

    def id_secret(self, project: ProjectId) -> bytes:
        """The secret that the project's ids are made and checked with."""
        return self._refreshed().secrets[project]

    def _refreshed(self) -> _Known:
        now = self.now()
        if now - self._checked_at < RELOAD_SECONDS:
            return self._known
        if self._stamp is not None:  # what was read before counts until the next look, whatever this one finds
            self._checked_at = now
        stamp = _stamp_of(self.path)
        if stamp != self._stamp:
            self._known = _known_of(read_content(self.path))
            self._stamp, self._checked_at = stamp, now
        return self._known


_OF_THE_START = Principal("this-start", ALL_PROJECTS, frozenset({Scope.QUERY, Scope.ADMIN}))


def new_start_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise Misconfigured(f"The key file {path} does not exist. Make a key: llmledger keys create.") from error
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _parse(text: str) -> tuple[str, str]:
    unsigned, _, checksum = text.rpartition("_")
    parts = unsigned.split("_", 3)
    if len(parts) != 4 or checksum != _checksum(unsigned):
        return "", ""
    return parts[2], parts[3]


def _hash(pepper: bytes, secret: str) -> str:
    return hmac.digest(pepper, secret.encode(), "sha256").hex()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _secret_text() -> str:
    return b64encode(secrets.token_bytes(32)).decode()
