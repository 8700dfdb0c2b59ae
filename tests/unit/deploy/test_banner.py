"""What standalone says: lines that work when they are pasted."""

import json
import shlex
from pathlib import Path

import pytest

from deploy.banner import SAMPLE, Banner
from ledger.dialects.openpipe import fields_of, requested_at_ms


def lines(**changes: object) -> list[str]:
    facts: dict[str, object] = {
        "url": "http://127.0.0.1:8000",
        "data": Path("/data with space"),
        "first_key": "llmledger_live_k_s_c",
        "wanted_port": 8000,
        "seconds": 1.84,
        "kept": "calls for 365 days",
        "command": "/somewhere/bin/llmledger",
    }
    return list(Banner(**{**facts, **changes}).lines())  # type: ignore[arg-type]


def words_after(label: str, of: list[str]) -> list[str]:
    (line,) = [line for line in of if line.strip().startswith(label)]
    return shlex.split(line.strip().removeprefix(label))


def test_the_first_line_says_that_it_is_ready_and_where_the_data_are() -> None:
    first = lines()[0]
    assert "ready in 1.8 s" in first
    assert "/data with space" in first


def test_the_sample_is_a_command_with_the_key_and_a_report() -> None:
    words = words_after("Try it", lines())
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8000/api/v1/report"]
    assert words[words.index("-H") + 1] == "Authorization: Bearer llmledger_live_k_s_c"
    report = words[words.index("-d") + 1]
    assert report == SAMPLE
    assert requested_at_ms(fields_of(report.encode())) is None  # a fixed time would be older than what is kept one day
    assert json.loads(report)["respPayload"]["usage"]["total_tokens"] == 12


def test_the_key_is_shown_on_the_first_start_only() -> None:
    assert any("shown this once" in line for line in lines())
    later = lines(first_key=None)
    assert not any("llmledger_live" in line or "curl" in line for line in later)


def test_it_says_how_long_calls_are_kept_and_how_to_change_that() -> None:
    (line,) = [line for line in lines() if line.strip().startswith("Keeps")]
    assert "calls for 365 days" in line
    assert "retention set --data '/data with space' --days 90" in line


@pytest.mark.parametrize("first_key", [None, "k"])
def test_the_command_for_more_keys_names_the_folder_as_one_word(first_key: str | None) -> None:
    words = words_after("More keys" if first_key else "Another key", lines(first_key=first_key))
    assert words[1:5] == ["keys", "create", "--data", "/data with space"]
    assert words[5:] == ["--project", "default", "--scope", "ingest", "--scope", "query"]


@pytest.mark.parametrize(("wanted", "said"), [(8000, False), (7999, True), (0, False)])
def test_another_port_than_the_wanted_one_is_said_aloud(wanted: int, said: bool) -> None:
    assert any(f"Port {wanted} is taken" in line for line in lines(wanted_port=wanted)) is said
