"""The ceiling of dead letters, and what a dead letter says."""

import json
from base64 import b64decode
from dataclasses import replace

import pytest

from tests.support.events import a_delivery
from workers.decoding import RejectCode, Rejected
from workers.quarantining import Ceiling, TooManyDeadLetters, dead_letter_header, headers_text


def bad(count: int, project: str = "shop") -> list[Rejected]:
    return [Rejected(a_delivery(project=project), RejectCode.BODY_INVALID, "why") for _ in range(count)]


def test_one_project_may_send_rubbish_only_and_stops_nobody() -> None:
    ceiling = Ceiling()
    for _ in range(20):
        ceiling.check(0, bad(500))


def test_rubbish_of_several_projects_is_our_own_fault() -> None:
    with pytest.raises(TooManyDeadLetters, match="60 of the last 1000"):
        Ceiling().check(940, [*bad(30, "shop"), *bad(30, "bank")])


def test_a_small_share_is_ordinary() -> None:
    Ceiling().check(950, [*bad(25, "shop"), *bad(25, "bank")])


def test_a_few_records_prove_nothing() -> None:
    ceiling = Ceiling()
    ceiling.check(0, [*bad(100, "shop"), *bad(99, "bank")])
    with pytest.raises(TooManyDeadLetters):
        ceiling.check(0, bad(1))


def test_only_the_latest_records_count() -> None:
    ceiling = Ceiling()
    ceiling.check(960, [*bad(20, "shop"), *bad(20, "bank")])
    ceiling.check(1000, [])
    ceiling.check(960, [*bad(20, "shop"), *bad(20, "bank")])


def test_the_share_is_counted_over_several_chunks() -> None:
    ceiling = Ceiling()
    ceiling.check(960, bad(40, "shop"))
    with pytest.raises(TooManyDeadLetters):
        ceiling.check(0, bad(40, "bank"))


def test_records_without_a_key_count_as_one_project_of_their_own() -> None:
    without_key = [replace(item, delivery=replace(item.delivery, key=None)) for item in bad(300)]
    Ceiling().check(0, without_key)
    with pytest.raises(TooManyDeadLetters):
        Ceiling().check(0, [*without_key, *bad(1)])


def test_a_key_of_any_bytes_is_counted() -> None:
    Ceiling().check(0, [replace(item, delivery=replace(item.delivery, key=b"\xff\x00")) for item in bad(300)])


def test_a_dead_letter_says_why_and_from_where_and_no_value() -> None:
    rejected = replace(bad(1)[0], delivery=a_delivery(b'{"secret": 1}', offset=9))
    assert json.loads(dead_letter_header(rejected, "llmledger 1.0")) == {
        "reason": "body_invalid",
        "detail": "why",
        "generation": 1,
        "partition": 0,
        "offset": 9,
        "code_version": "llmledger 1.0",
    }


def test_further_headers_are_kept_whatever_their_bytes() -> None:
    headers = (("name", bytes(range(256))), ("ä", b""))
    rejected = replace(bad(1)[0], delivery=replace(a_delivery(), headers=headers))
    assert tuple((name, b64decode(value)) for name, value in json.loads(headers_text(rejected))) == headers
