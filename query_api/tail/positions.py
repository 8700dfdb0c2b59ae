"""How far a reader of the tail has come, as the opaque text of an event's id.

It holds no secret and grants nothing: the key's project restricts what is sent after a resume as it did before.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec

from ledger.bus import Position
from ledger.instants import LATEST_STORED_MS
from query_api.errors import BadParameter

MAX_CHARACTERS = 32 * 1024

Place: TypeAlias = tuple[int, int]
"""Generation and partition."""
Places: TypeAlias = Mapping[Place, int]
"""The last offset of each partition; what is not named has not been looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything up to these places was sent, was left out and said so, or does not match."""

    places: Places
    at: int  # when that was so, in milliseconds since 1970
    since: int = 0  # calls before this instant were not asked for; 0: no such bound


_Ms = Annotated[int, msgspec.Meta(ge=0, le=LATEST_STORED_MS)]


class _Content(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    at: _Ms
    since: _Ms
    numbers: list[int]  # generation, partition and offset of each place, one after the other


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Content)


def encode(seen: Seen) -> str:
    """The id of an event after which so much was seen."""
    numbers = [number for (*place, offset) in _flat(seen.places) for number in (*place, offset)]
    content = _Content(1, seen.at, seen.since, numbers)
    return urlsafe_b64encode(_encoder.encode(content)).decode().rstrip("=")


def decode(text: str) -> Seen:
    """The inverse of `encode`. Raises `BadParameter` for anything else."""
    try:
        seen = _seen(_decoder.decode(_bytes(text)))
        if encode(seen) != text:
            raise ValueError
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadParameter("Last-Event-ID", "is not the id of an event of this API") from None
    return seen


def texts(places: Places) -> list[str]:
    """As the header `LLMLedger-Position` tells positions, in order."""
    return [Position(*place).text for place in _flat(places)]


def _flat(places: Places) -> list[tuple[int, int, int]]:
    return sorted((generation, partition, offset) for (generation, partition), offset in places.items())


def _bytes(text: str) -> bytes:
    if len(text) > MAX_CHARACTERS:
        raise ValueError
    return urlsafe_b64decode((text + "=" * (-len(text) % 4)).encode("ascii"))


def _seen(content: _Content) -> Seen:
    numbers = content.numbers
    if len(numbers) % 3:
        raise ValueError
    found = [tuple(numbers[at : at + 3]) for at in range(0, len(numbers), 3)]
    if any(Position.from_text("-".join(map(str, three))) is None for three in found):
        raise ValueError
    return Seen({(three[0], three[1]): three[2] for three in found}, content.at, content.since)
