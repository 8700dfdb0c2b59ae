"""The poison corpus: records that no program of ours would put on the bus, each of which must end as a dead letter.

Every one is a record of project alpha beside good ones. Records of a later envelope version are not here: they are no
poison, the worker waits for the program that can read them.
"""

import gzip
import zlib
from collections.abc import Iterator, Mapping

import msgspec

from ledger.ids import EventId, ProjectId, RecordId, plain_id
from ledger.prices.book import current_version
from ledger.report import Envelope, Kind, encode

_SECRET = b"of nobody's project, 32 bytes.  "
_NOW = 1_780_000_000_000
_DEEP = 100_000


def pills() -> Mapping[str, tuple[bytes, bytes]]:
    """By name: envelope and body."""
    bad_envelopes = {f"envelope-{name}": (envelope, b"{}") for name, envelope in _envelopes().items()}
    bad_bodies = {f"body-{name}": (_envelope(), body) for name, body in _bodies().items()}
    encoded = {f"encoded-{name}": (_envelope(content_encoding=how), body) for name, how, body in _encoded()}
    strange = {f"fields-{name}": (_envelope(**changes), b"{}") for name, changes in _fields().items()}
    updates = {f"update-{name}": (_envelope(kind=Kind.LOG_UPDATE), body) for name, body in _updates().items()}
    return bad_envelopes | bad_bodies | encoded | strange | updates


def valid_envelope(id_: RecordId, **changes: object) -> bytes:
    """The envelope of a log entry of project alpha, with these changes."""
    valid = Envelope(
        version=1,
        record_id=id_,
        event_id=EventId(id_),
        kind=Kind.LOG_INSERT,
        project=ProjectId("alpha"),
        accepted_at=_NOW,
        created_at=_NOW,
        price_version=current_version(),
    )
    return encode(msgspec.structs.replace(valid, **changes))


def _envelope(**changes: object) -> bytes:
    return valid_envelope(plain_id(_NOW, _SECRET), **changes)


def _envelopes() -> Mapping[str, bytes]:
    valid = _envelope()
    return {
        "empty": b"",
        "no-json": b"no JSON",
        "no-utf8": b"\xff\xfe\x00",
        "zeros": bytes(1000),
        "null": b"null",
        "list": b"[]",
        "text": b'"{}"',
        "no-fields": b"{}",
        "cut-off": valid[:-10],
        "twice": valid + valid,
        "deep": b'{"version":1,"x":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
        "huge-number": valid.replace(str(_NOW).encode(), b"9" * 400),
        "float-time": valid.replace(str(_NOW).encode(), b"1.5"),
        "not-a-number": valid.replace(str(_NOW).encode(), b"NaN"),
        "kind-unknown": valid.replace(b"log.insert", b"log.unheard-of"),
        "version-negative": valid.replace(b'"version":1', b'"version":-1'),
        "version-zero": valid.replace(b'"version":1', b'"version":0'),
        "version-text": valid.replace(b'"version":1', b'"version":"1"'),
        "surrogate": valid.replace(b'"alpha"', b'"\\ud800"'),
        "project-missing": valid.replace(b'"project":"alpha",', b""),
        "project-empty": valid.replace(b'"alpha"', b'""'),
    }


def _bodies() -> Mapping[str, bytes]:
    return {
        "no-json": b"no JSON",
        "no-utf8": b'{"model":"\xff"}',
        "cut-off": b'{"model":"gpt-4o',
        "trailing": b"{} {}",
        "text": b'"{}"',
        "list": b"[]",
        "number": b"7",
        "zeros": bytes(5000),
        "not-a-number": b'{"duration":NaN}',
        "infinite": b'{"duration":Infinity}',
        "deep-list": b'{"request_data":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
        "deep-object": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
        "single-quotes": b"{'model':'gpt-4o'}",
        "comment": b'{"model":"gpt-4o" /* no */}',
        "control-characters": b'{"model":"a\x00b"}',
    }


def _encoded() -> Iterator[tuple[str, str, bytes]]:
    whole = gzip.compress(b'{"model":"gpt-4o"}')
    yield "gzip-no-gzip", "gzip", b"no gzip at all"
    yield "gzip-cut-off", "gzip", whole[:-8]
    yield "gzip-wrong-sum", "gzip", whole[:-8] + bytes(8)
    yield "gzip-bomb", "gzip", gzip.compress(bytes(64 * 1024 * 1024))
    yield "gzip-is-zlib", "gzip", zlib.compress(b"{}")
    yield "zstd-no-zstd", "zstd", b"no zstd at all"
    yield "zstd-cut-off", "zstd", bytes.fromhex("28b52ffd") + b"\x00"
    yield "unknown", "br", b"{}"


def _fields() -> Mapping[str, Mapping[str, object]]:
    return {
        "id-no-uuid": {"record_id": "not-a-uuid"},
        "id-empty": {"record_id": ""},
        "event-no-uuid": {"event_id": "x" * 36},
        "id-upper-case": {"record_id": "0190A0B0-0000-7000-8000-000000000001"},
        "time-negative": {"created_at": -1},
        "time-ancient": {"created_at": -(10**15)},
        "time-far": {"created_at": 10**15},
        "accepted-far": {"accepted_at": 2**62},
        "blob-elsewhere": {"blob": "claims/x"},
    }


def _updates() -> Mapping[str, bytes]:
    return {
        "no-json": b"no JSON",
        "list": b"[]",
        "data-is-text": b'{"id":"x","update_data":"text"}',
    }
