"""Whatever stands on the bus: the pipeline makes rows and dead letters of it, and neighbours of a bad record live."""

import asyncio
import gzip
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from ledger.bus import Delivery, Position
from ledger.ids import RecordId, keyed_id
from ledger.instants import LATEST_STORED_MS
from ledger.report import Kind
from ledger.request_log import Bodies, RequestLog
from ledger.store import Identity
from ledger.store.columns import BODY_COLUMNS, ROW_COLUMNS, column_values
from tests.support.builders import A_TIME, ID_SECRET, an_id
from tests.support.events import SHOP, a_delivery, an_entry, an_envelope
from tests.support.recording import RememberingBlobs, RememberingQuarantine, RememberingStore
from workers.pipeline import Deps, process
from workers.pricing import Pricing
from workers.receipts import Receipt

EXAMPLES = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))

NEIGHBOUR: Identity = SHOP, an_id(A_TIME, 999)

KEYS = [
    *("requestedAt", "receivedAt", "reqPayload", "respPayload", "statusCode", "errorMessage", "tags", "metadata"),
    *("request", "response", "properties", "timestamp", "body", "status", "cacheHit", "cacheEnabled", "provider"),
    *("environment", "userId", "user_id", "model", "duration", "initiator", "description", "request_data"),
    *("response_data", "cost", "media", "update_data", "id", "type", "data", "image", "messages", "prompt", "input"),
    *("contents", "parts", "content", "text", "role", "choices", "message", "finish_reason", "output", "candidates"),
    *("usage", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "usageMetadata", "error"),
    *("code", "stream", "user", "service_tier", "speed", "session_id", "trace_id", "env", "system", "sha256", "side"),
]
NUMBERS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 1e308, 5e-324, 1e15, 1.5, 0.1])
    | st.floats(allow_nan=False, allow_infinity=False)
)
UNFIT = st.sampled_from([2**63, -(2**63) - 1, 10**30, 10**400, float("nan"), float("inf")])
"""Numbers for which a body is refused as a whole."""

DEPTHS = (60, 64, 900, 990, 1500, 3000)
"""About the interpreter's own limit: what can just be parsed must not fail in a later step."""
TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        *("image", "2026-03-14T15:09:26Z", "9999-99-99", "gpt-4o", "claude-sonnet-4-5", "OpenAI", "message", "null"),
        *('{"model":"m"}', '{"a":' + "[" * 500, '{"a":' + "9" * 400 + "}", '{"metadata":{"a":1e999}}'),
        *(
            "data: [DONE]\n\n",
            'data: {"choices":[{"delta":{"content":1}}]}\n\n',
            "AAAA",
            "data:;base64,AAAA",
            "data:,%",
        ),
        *("https://x/y", "1e999", "1726000000", "\ud800", "\x00", "x" * 2000),
    ]
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
NAMES = st.sampled_from(KEYS) | st.text(max_size=3)


def values_of(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
        max_leaves=20,
    )


VALUES = values_of(LEAVES)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=7)
UNFIT_OBJECTS = st.dictionaries(NAMES, values_of(LEAVES | UNFIT), max_size=3)
DEEP = st.integers(1, 120).map(lambda depth: b'{"reqPayload":' + b'{"messages":[' * depth + b"]}" * depth + b"}")


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


RIGHT: dict[Kind, dict[str, Any]] = {
    Kind.OPENPIPE_REPORT: {"reqPayload": {"model": "gpt-4o"}, "respPayload": {"usage": {"prompt_tokens": 1}}},
    Kind.OPENPIPE_REPORT_ANTHROPIC: {"reqPayload": {}, "respPayload": {"type": "message", "content": []}},
    Kind.PEZZO_REQUEST: {"metadata": {}, "request": {"body": {}}, "response": {"body": {}}},
    Kind.LOG_INSERT: {"model": "m", "request_data": {}, "response_data": {}, "media": {"request": []}},
    Kind.LOG_UPDATE: {"id": "x", "update_data": {"response_data": {}, "media": {"response": []}}},
    Kind.RECORD_DELETE: {},
    Kind.SCOPE_DELETE: {"user_id": "x"},
}
"""A body of each kind, to spoil."""

REPORTS = {kind for kind in Kind if not (kind.is_update or kind.is_deletion)}


def nearly_right(kind: Kind, objects: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    inner = objects.map(lambda changes: {"update_data": changes} if kind.is_update else changes)
    return inner.map(lambda changes: RIGHT[kind] | changes)


def spoiled_bodies_of(kind: Kind) -> st.SearchStrategy[bytes]:
    return nearly_right(kind, UNFIT_OBJECTS).map(as_json) | VALUES.map(as_json) | DEEP | st.binary()


def packed(body: bytes) -> list[tuple[bytes, str | None]]:
    return [(gzip.compress(body), "gzip"), (zstandard.ZstdCompressor().compress(body), "zstd")]


@st.composite
def enveloped(draw: st.DrawFn) -> Delivery:
    """A record with a valid envelope and any body; most bodies are nearly right."""
    kind, luck = draw(st.sampled_from(Kind)), draw(st.integers(0, 9))
    body = draw(spoiled_bodies_of(kind)) if luck == 0 else as_json(draw(nearly_right(kind, OBJECTS)))
    encodings = packed(body) if luck < 3 else [(body, "br")] if luck == 3 else [(body, None)]
    body, encoding = draw(st.sampled_from(encodings))
    return a_delivery(body, kind=kind, content_encoding=encoding, record_id=draw(st.sampled_from(IDS)))


IDS = [*(an_id(A_TIME, number) for number in range(3)), keyed_id("order 17", ID_SECRET)]
PRICES = an_envelope().price_version
ENVELOPE_FIELDS = list(msgspec.to_builtins(an_envelope()))
ENVELOPES = (
    st.none()
    | st.binary()
    | VALUES.map(as_json)
    | st.dictionaries(st.sampled_from(ENVELOPE_FIELDS), LEAVES, max_size=3).map(
        lambda changes: as_json(
            {**msgspec.to_builtins(an_envelope()), **changes, "version": 1, "price_version": PRICES}
        )
    )
)
ANY_RECORD = st.builds(
    Delivery,
    position=st.just(Position(1, 0, 0)),
    key=st.none() | st.binary(),
    envelope=ENVELOPES,
    body=st.none() | st.binary() | OBJECTS.map(as_json),
    headers=st.lists(st.tuples(st.text(), st.binary()), max_size=2).map(tuple),
)
RECORDS = enveloped() | ANY_RECORD


@cache
def pricing() -> Pricing:
    return Pricing()


def processed(batch: Sequence[Delivery]) -> tuple[RememberingStore, RememberingQuarantine, Receipt]:
    store, quarantine = RememberingStore(), RememberingQuarantine()
    deps = Deps(store, RememberingBlobs(), quarantine, pricing().price)
    return store, quarantine, asyncio.run(process(deps, batch))


def placed(records: Sequence[Delivery]) -> list[Delivery]:
    """The records one after the other, with a good one before, between and after them."""
    placed: list[Delivery] = []
    for offset, record in enumerate(records):
        at = Position(1, 0, 2 * offset + 1)
        placed.append(Delivery(at, record.key, record.envelope, record.body, record.headers))
    good = [
        an_entry({"description": "good"}, 2 * offset, record_id=good_id(offset)) for offset in range(len(records) + 1)
    ]
    return sorted([*placed, *good], key=lambda delivery: delivery.position)


def good_id(number: int) -> RecordId:
    return an_id(A_TIME, 1000 + number)


def assert_storable(row: RequestLog) -> None:
    """Every value fits its column and can be written as text."""
    assert 0 <= row.version < 2**64
    for name in ("created_at", "ingested_at", "updated_at", "requested_at", "received_at"):
        assert getattr(row, name) is None or 0 <= getattr(row, name) <= LATEST_STORED_MS
    for field in fields(row):
        value = getattr(row, field.name)
        if field.type == int | None and value is not None:
            assert -(2**63) <= value < 2**63, field.name
    assert row.status_code is None or -(2**31) <= row.status_code < 2**31
    for text in texts_of(row):
        text.encode()
    column_values(ROW_COLUMNS, [row])
    column_values(BODY_COLUMNS, [row])


def texts_of(row: RequestLog) -> list[str]:
    bodies = row.bodies or Bodies()
    values = [getattr(row, field.name) for field in fields(row)] + [
        getattr(bodies, field.name) for field in fields(bodies)
    ]
    return [value for value in values if isinstance(value, str)] + [text for pair in row.metadata for text in pair]


@EXAMPLES
@given(st.lists(RECORDS, min_size=1, max_size=3))
@example([a_delivery({"reqPayload": '{"messages":' + "[" * depth + "]" * depth + "}"}) for depth in DEPTHS])
@example([a_delivery(b'{"reqPayload":{"metadata":{"a":1e999}}}')])
@example([a_delivery(b'{"tags":{"\\ud800":"\\udfff"},"reqPayload":"\\ud83d"}')])
@example([an_entry({"media": {"request": [{"type": "image", "data": "https://x", "sha256": {}}]}})])
@example([a_delivery(gzip.compress(bytes(40_000_000)), content_encoding="gzip")])
def test_any_records_become_rows_or_dead_letters_and_harm_no_neighbour(records: list[Delivery]) -> None:
    batch = placed(records)
    store, quarantine, receipt = processed(batch)
    visible = store.visible()
    for row in visible.values():
        assert_storable(row)
    for number in range(len(records) + 1):
        assert visible[SHOP, good_id(number)].description == "good"
    assert receipt.resume_at == {0: len(batch)}
    assert {position.offset for position in quarantine.dead} <= {2 * offset + 1 for offset in range(len(records))}
    assert receipt.quarantined == len(quarantine.dead)


@EXAMPLES
@given(st.lists(enveloped(), min_size=1, max_size=4))
def test_every_record_is_part_of_a_row_a_patch_or_a_dead_letter(records: list[Delivery]) -> None:
    batch = placed(records)
    store, quarantine, _ = processed(batch)
    in_rows = {row.id for row in store.all_rows().values()}
    in_patches = {position for _, position in store.patched}
    in_deletions = {position for _, _, position in store.deletions}
    for delivery in batch:
        envelope = msgspec.json.decode(delivery.envelope or b"")
        assert (
            delivery.position in quarantine.dead
            or delivery.position in in_patches | in_deletions
            or (envelope["record_id"] in in_rows and envelope["kind"] in REPORTS)
        )


@EXAMPLES
@given(st.lists(enveloped(), min_size=1, max_size=4))
def test_processing_twice_gives_the_same_rows_and_dead_letters(records: list[Delivery]) -> None:
    batch = placed(records)
    first, second = processed(batch), processed(batch)
    assert first[0].all_rows() == second[0].all_rows()
    assert first[1].dead == second[1].dead


@EXAMPLES
@given(st.lists(enveloped(), min_size=1, max_size=6), st.data())
def test_any_split_into_chunks_gives_the_same_rows(records: list[Delivery], data: st.DataObject) -> None:
    batch = placed(records)
    whole, _, _ = processed(batch)
    store = RememberingStore()
    deps = Deps(store, RememberingBlobs(), RememberingQuarantine(), pricing().price)
    start = 0
    while start < len(batch):
        end = data.draw(st.integers(start + 1, len(batch)))
        asyncio.run(process(deps, batch[start:end]))
        start = end
    assert store.all_rows() == whole.all_rows()
