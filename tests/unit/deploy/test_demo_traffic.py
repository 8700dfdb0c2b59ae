"""The demo's traffic: what is made is valid, accepted as it is, becomes rows, and shows everything there is to see."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from deploy.demo.models import Dialect
from deploy.demo.reports import UPDATE_PATH, Report, reports, update_of
from ledger.bus import Delivery
from ledger.prices.book import current_version
from ledger.request_log import CostStatus, RequestLog
from tests.unit.ingest_api.service import NOW, NOW_MS, make_service
from workers.decoding import Accepted, decode
from workers.deriving import Derived
from workers.media import media_items
from workers.normalising import Normalised, Update, normalise
from workers.pricing import Pricing

SEED = 7
SPAN = timedelta(hours=3)
COUNT = 600


def made(count: int, seed: int = SEED) -> list[Report]:
    return list(islice(reports(seed, lambda: NOW, SPAN), count))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the whole way made of the traffic."""

    statuses: Counter[int]
    rows: Sequence[RequestLog]
    updates: Sequence[Update]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The traffic, sent to the service and normalised and priced as the workers do."""
    return asyncio.run(sent(tmp_path_factory.mktemp("ingest")))


async def sent(folder: Path) -> Outcome:
    service = make_service(folder)
    headers = {**service.openpipe, **service.pezzo, **service.log_entries}
    statuses: Counter[int] = Counter()
    async with service.client() as client:
        for report in made(COUNT):
            answer = await client.post(report.path, content=report.body, headers=headers)
            statuses[answer.status_code] += 1
            if report.changes is not None:
                update = update_of(answer.json()["id"], report.changes)
                statuses[(await client.post(UPDATE_PATH, content=update, headers=headers)).status_code] += 1
    rows, updates = normalised(await service.bus.poll(2 * COUNT))
    return Outcome(statuses, rows, updates)


def normalised(deliveries: Sequence[Delivery]) -> tuple[list[RequestLog], list[Update]]:
    """Fails when a delivery becomes neither a row nor an update."""
    pricing = Pricing()

    def price(derived: Derived) -> RequestLog:
        return pricing.price(replace(derived, row=replace(derived.row, price_version=current_version())))

    rows: list[RequestLog] = []
    updates: list[Update] = []
    for delivery in deliveries:
        accepted = decode(delivery)
        assert isinstance(accepted, Accepted), accepted
        result = normalise(accepted, price)
        assert isinstance(result, Normalised | Update), result
        if isinstance(result, Update):
            updates.append(result)
        else:
            rows.append(result.row)
    return rows, updates


def test_every_report_and_update_is_accepted_and_becomes_a_row_or_a_patch(outcome: Outcome) -> None:
    assert set(outcome.statuses) == {200}
    assert len(outcome.rows) == COUNT
    assert len(outcome.updates) == outcome.statuses[200] - COUNT > 0
    assert {name for update in outcome.updates for name in json.loads(update.patch.body)} == {
        "cost",
        "description",
        "metadata",
    }


def test_every_way_of_reporting_and_every_provider_is_there(outcome: Outcome) -> None:
    assert {row.source for row in outcome.rows} == {"openpipe", "openpipe_anthropic", "pezzo", "log_entry"}
    providers = {"openai", "azure", "anthropic", "google", "mistral", "deepseek"}
    assert {row.provider for row in outcome.rows} == providers


def test_costs_are_known_for_all_models_but_the_unknown_one(outcome: Outcome) -> None:
    answered = [row for row in outcome.rows if row.input_tokens]
    unpriced = {row.model_requested for row in answered if row.cost_status is CostStatus.UNPRICED}
    assert unpriced == {"acme-support-7b"}
    assert len({row.model_requested for row in answered}) > 10


def test_failures_streams_and_caches_are_shown_in_all_their_forms(outcome: Outcome) -> None:
    rows = outcome.rows
    assert {row.status_code for row in rows if row.is_error} == {429, 400, 500, None}
    assert all(row.error for row in rows if row.is_error and row.source != "pezzo")
    assert {row.is_error for row in rows} == {True, False}
    assert any(row.cached and row.duration_ms == 0 for row in rows)
    raw = [row for row in rows if row.bodies and row.bodies.raw_stream]
    assert {row.source for row in raw} == {"openpipe", "openpipe_anthropic"}
    assert all(row.completion_preview and row.output_tokens for row in raw)
    assert any(row.streamed and row.bodies and not row.bodies.raw_stream and row.output_tokens for row in rows)
    assert {row.source for row in rows if row.cache_read_tokens} >= {"openpipe", "openpipe_anthropic", "pezzo"}
    assert any(row.cache_write_tokens for row in rows)
    assert any(row.reasoning_tokens for row in rows)


def test_every_reply_has_a_text_or_says_why_not(outcome: Outcome) -> None:
    for row in outcome.rows:
        assert row.bodies is not None
        if not row.is_error and row.completion_preview is None:
            reply = row.bodies.raw_response or ""
            assert '"tool_calls"' in reply or '"controller"' in reply or row.model_requested == "gpt-image-1"


def test_calls_name_their_user_session_and_environment(outcome: Outcome) -> None:
    assert all(row.user_id and row.session_id and row.environment for row in outcome.rows)
    assert 10 < len({row.user_id for row in outcome.rows}) < 100
    assert max(Counter(row.session_id for row in outcome.rows).values()) > 1


def test_times_lie_in_the_span_and_latencies_are_believable(outcome: Outcome) -> None:
    earliest = NOW_MS - SPAN // timedelta(milliseconds=1) - 60_000  # a call that ends now may have begun before
    timed = [row for row in outcome.rows if row.source != "log_entry"]
    assert all(earliest <= row.requested_at <= (row.received_at or 0) <= NOW_MS for row in timed)
    assert max(row.requested_at for row in timed) - min(row.requested_at for row in timed) > 3600_000
    assert all(row.duration_ms is not None and 0 <= row.duration_ms <= 120_000 for row in outcome.rows)


def test_pictures_are_real_and_inline_and_linked(outcome: Outcome) -> None:
    media = [item for row in outcome.rows if row.bodies and row.bodies.media for item in json.loads(row.bodies.media)]
    assert {item["side"] for item in media} == {"request", "response"}
    assert {item["kind"] for item in media} == {"base64", "data_uri", "url"}
    fields = [json.loads(report.body) for report in made(COUNT) if report.dialect is Dialect.LOG_ENTRY]
    inline = [item for entry in fields if "media" in entry for item in _blobs(entry["media"])]
    assert inline
    assert all(data.startswith(b"\x89PNG") for data in inline)


def _blobs(media: dict[str, object]) -> list[bytes]:
    return [item.blob.data for item in media_items(msgspec.Raw(msgspec.json.encode(media))) if item.blob]


def test_prompts_are_in_several_scripts() -> None:
    text = "".join(report.body.decode() for report in made(COUNT))
    for letters in ("Eiche", "réunion", "豆腐", "合同", "كتاب", "प्रतिशत", "редактор", "회의", "🙂"):
        assert letters in text


def test_the_same_seed_gives_the_same_traffic_and_another_one_other_traffic() -> None:
    assert made(200) == made(200)
    assert made(200) != made(200, seed=SEED + 1)


def test_a_short_run_shows_every_way_of_reporting() -> None:
    assert {report.dialect for report in made(60)} == set(Dialect)


def test_without_a_span_every_call_has_just_ended() -> None:
    bodies = [json.loads(report.body) for report in islice(reports(SEED, lambda: NOW, timedelta()), 100)]
    assert {body["receivedAt"] for body in bodies if "receivedAt" in body} == {NOW_MS}
