"""API key → Principal, from whichever header a client has it in: the last place where the key is known."""

from collections.abc import Mapping

from ingest_api.errors import MayNotWrite
from ledger.errors import MissingKey, UnknownKey
from ledger.keys import KeyRing, Principal, Scope

_HEADERS = (b"authorization", b"x-api-key", b"x-pezzo-api-key")


def batch_sender(headers: Mapping[bytes, bytes], keys: KeyRing) -> Principal:
    """Whose key the first of the headers with a known one has; a proxy may have its own words in `Authorization`.

    Raises `MissingKey`, `UnknownKey` or `MayNotWrite`.
    """
    texts = [text for text in (_key_in(headers.get(name, b"")) for name in _HEADERS) if text]
    if not texts:
        raise MissingKey
    principal = next(filter(None, map(keys.find, texts)), None)
    if principal is None:
        raise UnknownKey
    if not principal.may(Scope.INGEST):
        raise MayNotWrite
    return principal


def _key_in(header: bytes) -> str:
    text = header.decode("latin-1").strip()
    scheme, _, rest = text.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text
