"""The ingest service as a process of its own, with three more endpoints: two constant answers, and its CPU time."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get, post

from deploy import event_loop
from deploy.http_server import bind, serve
from deploy.signals import stop_on_signals
from ingest_api.answering import Answer, direct
from ingest_api.answers import ReportAccepted
from ingest_api.app import create_app
from ingest_api.settings import IngestSettings
from ledger.bus import Publisher
from ledger.bus.kafka import KafkaPublisher
from ledger.bus.kafka_topics import ensure_topics
from ledger.bus.sqlite_log import SqliteLog
from ledger.key_file import edit
from ledger.keys import KeyFileContent, KeyRing, Scope, with_new_key
from ledger.prices.book import current_version
from ledger.settings import KafkaSection, KeysSection, SqliteLogSection
from tests.bench.bodies import PROJECT

CONSTANT_PATH, ORDINARY_PATH, CPU_PATH = "/bench/constant", "/bench/ordinary", "/bench/cpu"
REPORT_PATH = "/api/v1/report"
_ACCEPTED = msgspec.json.encode(ReportAccepted())


async def constant(request: Request[Any, Any, Any]) -> Answer[ReportAccepted]:
    """Read the body and answer as for an accepted report, in the way of the product's own endpoints."""
    await request.body()
    return Answer(_ACCEPTED)


async def ordinary(request: Request[Any, Any, Any]) -> Response[ReportAccepted]:
    """The same in the framework's ordinary way."""
    await request.body()
    return Response(ReportAccepted())


async def cpu() -> dict[str, float]:
    """The CPU time of this process so far, in seconds, as the operating system counts it."""
    times = os.times()
    return {"seconds": times.user + times.system}


async def run(folder: Path, bus: KafkaSection | SqliteLogSection) -> None:
    """Serve until a signal; the first line on stdout says where, and with which key."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    made: list[str] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        new = with_new_key(content, PROJECT, [Scope.INGEST], "2026-01-01")
        made.append(new.key)
        return new.content

    keys = folder / "keys.json"
    edit(keys, add)
    app = create_app(
        IngestSettings(bus=bus, keys=KeysSection(keys)),
        publisher=await _publisher(bus),
        keys=KeyRing(keys),
        price_version=current_version(),
    )
    app.register(direct([CONSTANT_PATH])(constant))  # routed as every endpoint of the product is
    app.register(post(ORDINARY_PATH, status_code=200)(ordinary))
    app.register(get(CPU_PATH)(cpu))
    listener = bind("127.0.0.1", 0)
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}", "key": made[0]}) + "\n")
    sys.stdout.flush()
    await serve(app, listener, stop, drain_seconds=2, lifespan=True)


async def _publisher(bus: KafkaSection | SqliteLogSection) -> Publisher:
    if isinstance(bus, SqliteLogSection):
        return SqliteLog(bus.path)
    await ensure_topics(bus, wait_seconds=30.0)
    return KafkaPublisher(bus)


def kafka_section(bootstrap_servers: str, name: str) -> KafkaSection:
    """Topics and a group of this name, with the product's own number of partitions."""
    return KafkaSection(bootstrap_servers, topic=name, group=f"{name}-workers")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kafka", nargs=2, metavar=("SERVERS", "TOPIC"))
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    bus = kafka_section(*options.kafka) if options.kafka else SqliteLogSection(options.log)
    event_loop.run(run(options.folder, bus))  # as the product runs
