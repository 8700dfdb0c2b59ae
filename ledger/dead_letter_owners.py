"""Whose a dead letter is, as far as its bytes tell: it could not become a row, so no column says it.

It is a user's where the id is the whole value of a member that says a user: its name has `user` or `initiator` in it.
Texts that only contain the id belong to anybody: erasing a dead letter is final, so they are told apart and kept.
"""

import json
import re
from enum import Enum

from ledger.errors import Invalid
from ledger.inflating import inflate
from ledger.settings import MAX_BODY_BYTES

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}

_DEPTHS = 3
"""JSON, JSON in a string of it, and once more: proxies pass requests on as texts."""

_NAME = rb'[^"\\]{0,64}(?i:user|initiator)[^"\\]{0,64}'  # bounded: a long run of quotes or names costs no more

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


class Owned(Enum):
    """What the bytes say of one user."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"  # they contain the id as something else, or cannot be read


def owned_by(body: bytes, user_id: str) -> Owned:
    """Whether the bytes, packed or not, name this user as theirs."""
    encoding = next((name for magic, name in _MAGIC.items() if body.startswith(magic)), None)
    try:
        plain = inflate(body, encoding, MAX_BODY_BYTES) if encoding else body
    except Invalid:
        return Owned.UNSURE
    found = Owned.NO
    for depth, forms in enumerate(spellings(user_id)):
        if any(form in plain for form in forms):
            if _saying(user_id, depth, forms).search(plain):
                return Owned.YES
            found = Owned.UNSURE
    return found


def spellings(text: str) -> list[set[bytes]]:
    """The text as JSON writers write it, as it is or with escapes; in JSON, in JSON as a text of JSON, and so on."""
    depths, forms = [], {text}
    for _ in range(_DEPTHS):
        forms = {json.dumps(form, ensure_ascii=ascii_only)[1:-1] for form in forms for ascii_only in (True, False)}
        forms |= {re.sub(r"\\?/", r"\\/", form) for form in forms}
        depths.append({form.encode("utf-8", "surrogatepass") for form in forms})
    return depths


def _saying(user_id: str, depth: int, forms: set[bytes]) -> re.Pattern[bytes]:
    """A member at this depth whose whole value is one of these forms; the end of the bytes ends it too."""
    slashes = 2**depth - 1  # before each quote of a text in a text
    quote = rb'\\{%d}"' % slashes
    escaped = b"|".join(map(re.escape, sorted(forms)))
    values = [rb"%b(?:%b)(?:%b|\\{0,%d}\Z)" % (quote, escaped, quote, slashes)]
    if _NUMBER.fullmatch(user_id):
        values.append(rb"%b(?![\w.+-])" % re.escape(user_id.encode()))
    return re.compile(rb"(?<!\\)%b%b%b\s*:\s*(?:%b)" % (quote, _NAME, quote, b"|".join(values)))
