"""The events that delete: what they say is what is read back, and what would delete too much is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bus import Delivery, Position
from ledger.bus.broadcasts import PARTITIONS_HEADER, partitions_header, partitions_of
from ledger.deletion import BadScope, Scope, check_what, event_of, read_scope, record_deletion, scope_deletion
from ledger.errors import Invalid
from ledger.ids import EventId, ProjectId, RecordId
from ledger.report import VERSION, Kind, bus_key, decode

SHOP = ProjectId("shop")
AN_ID = RecordId("019ceca7-8c57-7000-8000-000000abcdef")
EVENT = EventId("019ceca7-90a7-7123-8000-000000fedcba")


def test_the_deletion_of_a_record_lies_where_the_record_lies() -> None:
    record = record_deletion(SHOP, AN_ID, EVENT, 1773500967000, "once")
    envelope = decode(record.envelope)
    assert record.key == bus_key(SHOP, AN_ID)
    assert (envelope.version, envelope.kind, envelope.project) == (VERSION, Kind.RECORD_DELETE, SHOP)
    assert (envelope.record_id, envelope.event_id, envelope.idempotency_key) == (AN_ID, EVENT, "once")
    assert record.body == b"{}"


@given(st.text(min_size=1, max_size=1000).filter(lambda text: text.isprintable()))
def test_a_users_deletion_is_read_as_it_was_written(user: str) -> None:
    record = scope_deletion(SHOP, EVENT, (Scope.USER, user), 1773500967000)
    assert read_scope(record.body, SHOP) == (Scope.USER, user)
    envelope = decode(record.envelope)
    assert (envelope.kind, envelope.record_id, envelope.event_id) == (Kind.SCOPE_DELETE, RecordId(EVENT), EVENT)


def test_a_filters_deletion_is_read_as_it_was_written() -> None:
    rules = '{"field": "tokens", "operator": ">", "value": 1e2}, {"rules": [], "combinator": "and"}'
    text = f'{{"combinator": "or",  "rules": [{rules}]}}'
    record = scope_deletion(SHOP, EVENT, (Scope.FILTER, text), 1773500967000)
    assert read_scope(record.body, SHOP) == (Scope.FILTER, text)


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "[]", "{", '{"combinator":"and","rules":[]}', '{"colour":1}', '{"status":"x"}']
)
def test_a_filter_without_a_rule_or_without_a_meaning_is_refused_before_it_is_sent(text: str) -> None:
    with pytest.raises(Invalid):
        scope_deletion(SHOP, EVENT, (Scope.FILTER, text), 1773500967000)


def test_a_scope_is_a_user_or_a_filter() -> None:
    for scope, what in [(Scope.ID, AN_ID), (Scope.USER, ""), (Scope.USER, "ü" * 2049)]:
        with pytest.raises(BadScope):
            check_what(scope, what, SHOP)
    for body in [
        b"",
        b"[]",
        b"{}",
        b'{"user_id":1}',
        b'{"user_id":"a","filter":{}}',
        b'{"user_id":"a","more":1}',
        b"\xff",
    ]:
        with pytest.raises(Invalid):
            read_scope(body, SHOP)


def test_a_scope_is_one_event_of_each_of_its_records_and_always_the_same() -> None:
    other = RecordId("019ceca7-8c57-7000-8000-000000abcdee")
    assert event_of(EVENT, AN_ID) == event_of(EVENT, AN_ID)
    assert len({event_of(EVENT, AN_ID), event_of(EVENT, other), event_of(EventId(AN_ID), AN_ID), EVENT}) == 4


@pytest.mark.parametrize(
    ("headers", "partitions"),
    [
        ((), 1),
        ((partitions_header(12),), 12),
        ((("other", b"3"), partitions_header(65535)), 65535),
        (((PARTITIONS_HEADER, b"x"),), 1),
        (((PARTITIONS_HEADER, b"0"),), 1),
        (((PARTITIONS_HEADER, b"9" * 5000),), 1),
        (((PARTITIONS_HEADER, b"\xb2"),), 1),
    ],
)
def test_a_broadcast_says_to_how_many_partitions_it_went(
    headers: tuple[tuple[str, bytes], ...], partitions: int
) -> None:
    assert partitions_of(Delivery(Position(1, 0, 0), None, None, None, headers)) == partitions
