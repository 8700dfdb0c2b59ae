"""API key → Principal, one function per header style. The key goes no further than this file."""

from collections.abc import Mapping

from ledger.errors import MissingKey, UnknownKey
from ledger.keys import KeyRing, Principal, Scope

Headers = Mapping[bytes, bytes]


def openpipe_principal(headers: Headers, keys: KeyRing) -> Principal:
    """Whose key the second word of `Authorization` is, whatever its scopes. Raises `MissingKey` or `UnknownKey`."""
    words = _text(headers, b"authorization").split()
    if len(words) < 2:
        raise MissingKey
    principal = keys.find(words[1])
    if principal is None:
        raise UnknownKey
    return principal


def pezzo_principal(headers: Headers, keys: KeyRing) -> Principal:
    """Whose key `x-pezzo-api-key` is, when it may write to `x-pezzo-project-id`. Raises a `Refused`."""
    project = _text(headers, b"x-pezzo-project-id")
    if not keys.knows_project(project):
        raise UnknownKey("Invalid Pezzo Project ID")
    text = _text(headers, b"x-pezzo-api-key")
    if not text:
        raise MissingKey("Pezzo API Key Not Provided")
    principal = keys.find(_without_bearer(text))
    if principal is None or not principal.may(Scope.INGEST):
        raise UnknownKey("Invalid Pezzo API Key")
    if principal.project != project:
        raise UnknownKey("Invalid Pezzo Project ID")
    return principal


def log_entries_principal(headers: Headers, keys: KeyRing) -> Principal:
    """Whose key `x-api-key` is, when it may write. Raises `MissingKey` or `UnknownKey`."""
    text = _without_bearer(_text(headers, b"x-api-key"))
    if not text:
        raise MissingKey("Missing API key")
    principal = keys.find(text)
    if principal is None or not principal.may(Scope.INGEST):
        raise UnknownKey("Invalid API key")
    return principal


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


def _without_bearer(text: str) -> str:
    return text[7:].strip() if text[:7].lower() == "bearer " else text
