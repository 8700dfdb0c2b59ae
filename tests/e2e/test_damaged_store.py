"""A store that lost what the log still has: a start notices, says so, and stores it again."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.standalone_process import Standalone, start_standalone

REPORTS = 5
_PATIENCE_SECONDS = 60.0


@pytest.fixture
def key(tmp_path: Path) -> str:
    """Of a product that has stored some reports and was stopped."""
    running = start_standalone(tmp_path)
    try:
        assert running.first_key
        with httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {running.first_key}"}) as client:
            for number in range(REPORTS):
                body = {"requestedAt": 1_780_000_000_000 + number, "reqPayload": {"model": "gpt-4o"}}
                client.post("/api/v1/report", json=body).raise_for_status()
        wait_for(running, running.first_key)
        running.stop()
    finally:
        running.kill()
    return running.first_key


def wait_for(running: Standalone, key: str) -> None:
    """Until all of them are listed."""
    give_up_at, total = time.monotonic() + _PATIENCE_SECONDS, None
    while total != REPORTS:
        assert time.monotonic() < give_up_at, f"{total} of {REPORTS} are listed\n{running.child.messages()}"
        found = httpx.get(f"{running.url}/api/v1/requests", headers={"authorization": f"Bearer {key}"}, timeout=30.0)
        total = found.raise_for_status().json()["totalCount"]


def parts(home: Path) -> Iterator[Path]:
    """The folders of the store's parts."""
    return (file.parent for file in (home / "data" / "store").rglob("columns.txt"))


def test_parts_that_the_engine_puts_aside_are_named_and_stored_again(key: str, tmp_path: Path) -> None:
    for part in list(parts(tmp_path)):
        (part / "columns.txt").write_bytes(b"")
    running = start_standalone(tmp_path)
    try:
        wait_for(running, key)
        said = running.child.messages()
        running.stop()
    finally:
        running.kill()
    assert "put parts of the store aside as broken" in said
    assert "broken-on-start" in said
    assert '"missing": 5' in said


def test_a_store_that_is_gone_is_filled_from_the_log(key: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data" / "store")
    running = start_standalone(tmp_path)
    try:
        wait_for(running, key)
        running.stop()
    finally:
        running.kill()


def test_a_part_whose_bytes_were_changed_stops_the_start_and_is_named(key: str, tmp_path: Path) -> None:
    for part in list(parts(tmp_path)):
        content = bytearray((part / "data.bin").read_bytes())
        content[len(content) // 2] ^= 0xFF
        (part / "data.bin").write_bytes(content)
    with pytest.raises(AssertionError, match=r"(?s)cannot be read.*Checksum.*stored again"):
        start_standalone(tmp_path)
