"""Bytes of an item → `Sound` or `Problem`. Pure: any bytes at all give one of the two.

A body is kept as it was sent; what is judged is that text made readable, as it is of a body that is sent alone.
"""

from dataclasses import dataclass

import msgspec

from ingest_api.batches.kinds import JUDGES, Stamp
from ingest_api.batches.problems import Problem, problem_of
from ingest_api.errors import InvalidFields, status_of
from ingest_api.intake import idempotency_key
from ledger.errors import Invalid, LedgerError, TooLarge
from ledger.json_text import readable

FRAME_BYTES = 4096
"""So much may be in an item beside its body: its kind, its key and the blanks between them."""


class Sound(msgspec.Struct, frozen=True):
    """An item that can be accepted."""

    stamp: Stamp
    body: bytes  # as it was sent
    idempotency_key: str | None


class BadItem(Invalid):
    """An item must be a JSON object with `kind` and `body`."""


class NotJson(BadItem):
    """The item is not JSON."""


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An unknown name may be a misspelt key, so it is refused. Of a name that is there twice, the last one counts."""

    kind: str
    body: msgspec.Raw
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ItemJudge:
    """Judges items whose body is not larger than a body that is sent alone may be."""

    max_body_bytes: int

    def verdict(self, item: memoryview) -> Sound | Problem:
        """Whether the item can be accepted, or why not."""
        try:
            return self._judged(item)
        except InvalidFields as error:
            return problem_of(status_of(error), error, error.problems)
        except (LedgerError, RecursionError) as error:
            return problem_of(status_of(error), error)

    def _judged(self, item: memoryview) -> Sound:
        _check_size(item.nbytes, "item", self.max_body_bytes + FRAME_BYTES)
        text = None
        try:
            told = _told(item)
        except NotJson:
            # The decoder refuses every half of a character, so only what it refuses is looked through for them:
            # looking through every item would cost a seventh of all that is done here.
            text = readable(bytes(item))
            if text == item:
                raise
            told = _told(text)
        judge = JUDGES.get(told.kind)
        if judge is None:
            raise BadItem(f"There is no kind {told.kind[:40]!r}. Use one of: {', '.join(JUDGES)}.")
        key = None if told.idempotency_key is None else idempotency_key(told.idempotency_key)
        _check_size(memoryview(told.body).nbytes, "body", self.max_body_bytes)
        body = bytes(told.body)
        return Sound(judge(body), body if text is None else _as_sent(item, text, body), key)


def _told(item: memoryview | bytes) -> _Told:
    try:
        return _decoder.decode(item)
    except msgspec.ValidationError as error:
        raise BadItem(f"An item must be a JSON object with `kind` and `body`: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The item is not JSON: {error}.") from None


def _check_size(size: int, name: str, most: int) -> None:
    """To be asked before anything is copied."""
    if size > most:
        raise TooLarge(f"The {name} is larger than {most} bytes.")


def _as_sent(item: memoryview, text: bytes, body: bytes) -> bytes:
    """The body's place in the item. Only a name or a key could look like it, and they cannot hold what was replaced."""
    start = text.rindex(body)
    return bytes(item[start : start + len(body)])


_decoder = msgspec.json.Decoder(_Told)
