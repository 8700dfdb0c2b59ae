"""Opaque keyset cursors: encode, decode, nothing else. A cursor names the last row of a page.

It holds no secret and grants nothing: the key's project restricts the next page as it did the first.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import msgspec

from ledger.ids import ProjectId, from_int, to_int
from ledger.instants import LATEST_STORED_MS
from ledger.request_log import RowKey
from query_api.errors import BadParameter

MAX_CHARACTERS = 1024


class _Content(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    created_at: Annotated[int, msgspec.Meta(ge=0, le=LATEST_STORED_MS)]
    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    project: str


_decoder = msgspec.json.Decoder(_Content)


def encode(last: RowKey) -> str:
    """The cursor of the page that ends with this row."""
    content = _Content(1, last.created_at, f"{to_int(last.id):032x}", last.project)
    return urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def decode(text: str) -> RowKey:
    """The row after which the next page begins. Raises `BadParameter` for anything but a cursor of ours."""
    try:
        if len(text) > MAX_CHARACTERS:
            raise ValueError
        padded = text + "=" * (-len(text) % 4)
        content = _decoder.decode(urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadParameter("cursor", "is not a cursor of this API") from None
    return RowKey(ProjectId(content.project), content.created_at, from_int(int(content.id, 16)))
