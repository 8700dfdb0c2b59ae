"""Many stored calls, made inside the engine: too many to send there in reasonable time.

Two thirds belong to the project that is asked for; they lie in the order of their times, as ingestion leaves them, and
one in a hundred has a second version, so that there is something to deduplicate.
"""

import time

from clickhouse_connect.driver import Client

PROJECT, OTHER_PROJECT = "bench", "other"
FIRST_MS = 1_780_000_000_000
INSERTS = 12
_APART_MS = 5_000
_UPDATED_EVERY = 100

_IDENTITY = f"""
    if(number % 3 < 2, '{PROJECT}', '{OTHER_PROJECT}') AS project,
    fromUnixTimestamp64Milli(toInt64({FIRST_MS} + number * {_APART_MS}), 'UTC') AS created_at,
    bitOr(bitShiftLeft(toUInt128({FIRST_MS} + number * {_APART_MS}), 80),
          bitOr(bitShiftLeft(toUInt128(7), 76), bitOr(bitShiftLeft(toUInt128(2), 62), toUInt128(number)))) AS id
"""

_ROWS = f"""
INSERT INTO request_logs (project, created_at, id, version, is_deleted, source, ingested_at, updated_at, requested_at,
    received_at, duration_ms, provider, model_requested, model_served, status_code, is_error, streamed, cached,
    finish_reason, provider_response_id, user_id, session_id, environment, metadata_keys, metadata_values,
    input_tokens, output_tokens, total_tokens, cost_computed, cost, cost_status, price_version, prompt_preview,
    completion_preview, bus_generation, bus_partition, bus_offset)
SELECT {_IDENTITY}, {{version:UInt64}} AS version, 0, 'openpipe', created_at, created_at, created_at,
    created_at + INTERVAL 1 SECOND, 1000.5, 'openai', ['gpt-4o', 'gpt-4o-mini', 'o4-mini'][number % 3 + 1] AS model,
    model, if(number % 50 = 0, 429, 200), number % 50 = 0, number % 2, 0, 'stop', concat('chatcmpl-', hex(number)),
    concat('user:', toString(number % 1000)), concat('sess_', toString(intDiv(number, 4))), 'production',
    ['prompt_id', 'environment'], [toString(number % 40), 'production'], 100 + number % 900, 50 + number % 400,
    150 + number % 1300, 1000000 + number, 1000000 + number, 'computed', 'bench',
    substring({{text:String}}, 1 + number % 500, 200), substring({{text:String}}, 1 + number % 300, 200), 1, 0, number
FROM numbers({{first:UInt64}}, {{count:UInt64}}) WHERE number % {{every:UInt64}} = 0
"""

_BODIES = f"""
INSERT INTO request_bodies (project, created_at, id, version, is_deleted, prompt, completion, raw_request, raw_response)
SELECT {_IDENTITY}, {{version:UInt64}}, 0, substring({{text:String}}, 1 + number % 500, 200) AS prompt,
    substring({{text:String}}, 1 + number % 300, 200) AS completion,
    concat('{{"messages":[{{"role":"user","content":"', prompt, hex(sipHash128(number)), '"}}]}}'),
    concat('{{"id":"', hex(sipHash128(number, 1)), '","choices":[{{"message":{{"content":"', completion, '"}}}}]}}')
FROM numbers({{first:UInt64}}, {{count:UInt64}}) WHERE number % {{every:UInt64}} = 0
"""

_TEXT = " ".join(
    f"{number} bottles stand on the wall, and {number * 7919 % 1000} in the cellar;" for number in range(60)
)


def fill(client: Client, rows: int) -> None:
    """Store so many calls in a few inserts, then second versions of some of them."""
    size = -(-rows // INSERTS)
    for first in range(0, rows, size):
        _insert(client, first, min(size, rows - first), version=1, every=1)
    for first in range(0, rows, size):
        _insert(client, first, min(size, rows - first), version=2, every=_UPDATED_EVERY)


def settle(client: Client, seconds: float) -> None:
    """Return once the engine has merged what it wants to merge, or the time is over."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at and client.query("SELECT count() FROM system.merges").result_rows[0][0]:
        time.sleep(0.2)


def _insert(client: Client, first: int, count: int, *, version: int, every: int) -> None:
    values = {"first": first, "count": count, "version": version, "every": every, "text": _TEXT}
    for statement in (_BODIES, _ROWS):
        client.command(statement, parameters=values)
