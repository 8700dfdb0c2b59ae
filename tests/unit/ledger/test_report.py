"""The event contract: the golden form of every version, and what another era may have changed."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, UnknownVersion
from ledger.ids import EventId, ProjectId, RecordId
from ledger.report import CLAIM_VERSION, VERSION, Claim, Envelope, Kind, bus_key, decode, encode

GOLDEN = Path(__file__).parents[2] / "golden"
EXAMPLES: list[dict[str, Any]] = json.loads((GOLDEN / "envelope-v1.json").read_text())
DELETIONS: list[dict[str, Any]] = json.loads((GOLDEN / "envelope-v2.json").read_text())
CLAIMS: list[dict[str, Any]] = json.loads((GOLDEN / "envelope-v3.json").read_text())

FULL = Envelope(
    version=1,
    record_id=RecordId("019ceca7-8c57-7000-8000-000000abcdef"),
    event_id=EventId("019ceca7-90a7-7123-8000-000000fedcba"),
    kind=Kind.LOG_UPDATE,
    project=ProjectId("acme"),
    accepted_at=1773500967000,
    created_at=1773500966999,
    price_version="2026-03-14",
    idempotency_key="order 17",
    content_encoding="gzip",
    blob="claims/acme/2026-03-14/019ceca7-90a7-7123-8000-000000fedcba",
)
PLAIN = msgspec.structs.replace(
    FULL,
    event_id=EventId(FULL.record_id),
    kind=Kind.OPENPIPE_REPORT,
    idempotency_key=None,
    content_encoding=None,
    blob=None,
)


DELETE = Envelope(
    version=2,
    record_id=PLAIN.record_id,
    event_id=FULL.event_id,
    kind=Kind.RECORD_DELETE,
    project=ProjectId("acme"),
    accepted_at=1773500967000,
    created_at=1773500967000,
    price_version="",
)
DELETE_SCOPE = msgspec.structs.replace(
    DELETE, record_id=RecordId(FULL.event_id), kind=Kind.SCOPE_DELETE, idempotency_key="forget user 17"
)


CLAIMED = msgspec.structs.replace(
    PLAIN,
    version=3,
    content_encoding="gzip",
    blob=Claim("claims/61636d65/2026-03-14/019ceca7-8c57-7000-8000-000000abcdef-00ff00ff00ff00ff", 20971520),
)


def wire(**changes: Any) -> bytes:
    return json.dumps(EXAMPLES[0] | changes).encode()


@pytest.mark.parametrize(
    ("example", "envelope"),
    [*zip(EXAMPLES + DELETIONS + CLAIMS, [PLAIN, FULL, DELETE, DELETE_SCOPE, CLAIMED], strict=True)],
)
def test_the_golden_examples_of_every_version_are_read_and_written_as_ever(
    example: dict[str, Any], envelope: Envelope
) -> None:
    assert decode(json.dumps(example).encode()) == envelope
    assert json.loads(encode(envelope)) == example


def test_the_newest_golden_examples_are_of_the_version_that_is_written() -> None:
    assert {example["version"] for example in EXAMPLES} == {1}
    assert {example["version"] for example in DELETIONS} == {VERSION}
    assert {example["version"] for example in CLAIMS} == {CLAIM_VERSION}


@pytest.mark.parametrize("example", DELETIONS)
def test_a_deletion_is_of_a_version_that_a_program_without_deletions_waits_at(example: dict[str, Any]) -> None:
    """Such a program reads version 1: it does not know the kind, and a higher version keeps it from dead-lettering."""
    assert Kind(example["kind"]).is_deletion
    assert example["version"] > 1


class _EnvelopeOfVersion2(msgspec.Struct):
    """What a program without claims reads of an envelope: the one field whose form has changed."""

    blob: str | None = None


@pytest.mark.parametrize("example", CLAIMS)
def test_a_claim_has_a_form_that_a_program_without_claims_cannot_read_and_so_waits_at(example: dict[str, Any]) -> None:
    """That program reads a version after its own when it can; what it cannot read of a later one it waits at."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(example), type=_EnvelopeOfVersion2)
    assert example["version"] > 2


def test_the_kinds_are_spelt_as_they_were_published() -> None:
    assert {kind.value for kind in Kind} >= {
        "openpipe.report",
        "openpipe.report-anthropic",
        "pezzo.request",
        "log.insert",
        "log.update",
        "record.delete",
        "scope.delete",
    }


def test_only_updates_change_a_record_that_another_event_made() -> None:
    assert [kind for kind in Kind if kind.is_update] == [Kind.LOG_UPDATE]


envelopes = st.builds(
    Envelope,
    version=st.just(VERSION),
    record_id=st.uuids().map(str),
    event_id=st.uuids().map(str),
    kind=st.sampled_from(Kind),
    project=st.text(),
    accepted_at=st.integers(-(2**63), 2**63 - 1),
    created_at=st.integers(-(2**63), 2**63 - 1),
    price_version=st.text(),
    idempotency_key=st.none() | st.text(),
    content_encoding=st.none() | st.text(),
    blob=st.none() | st.text() | st.builds(Claim, name=st.text(), size=st.integers(0, 2**63 - 1)),
)


@given(envelopes)
def test_what_was_encoded_is_decoded_as_it_was(envelope: Envelope) -> None:
    assert decode(encode(envelope)) == envelope


@pytest.mark.parametrize("version", [VERSION - 1, VERSION, VERSION + 1])
def test_the_versions_before_and_after_are_read(version: int) -> None:
    assert decode(wire(version=version)) == msgspec.structs.replace(PLAIN, version=version)


@pytest.mark.parametrize("version", [VERSION + 2, 10**30])
def test_a_version_further_ahead_is_another_era(version: int) -> None:
    with pytest.raises(UnknownVersion, match=str(version)):
        decode(wire(version=version))


@pytest.mark.parametrize("version", [0, -7])
def test_a_version_that_never_was_is_no_envelope(version: int) -> None:
    with pytest.raises(Invalid) as caught:
        decode(wire(version=version))
    assert not isinstance(caught.value, UnknownVersion)


@pytest.mark.parametrize("changes", [{"kind": "otlp.span"}, {"project": {"id": 1}}, {"accepted_at": "noon"}])
def test_what_only_a_later_version_can_mean_waits_for_its_program(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownVersion):
        decode(wire(version=VERSION + 1, **changes))
    with pytest.raises(Invalid) as caught:
        decode(wire(**changes))
    assert not isinstance(caught.value, UnknownVersion)


def test_unknown_fields_are_harmless() -> None:
    assert decode(wire(colour="blue", nested={"a": [1]})) == PLAIN


@pytest.mark.parametrize("missing", sorted(EXAMPLES[0]))
def test_every_field_that_has_no_default_is_needed(missing: str) -> None:
    fields = {name: value for name, value in EXAMPLES[0].items() if name != missing}
    with pytest.raises(Invalid):
        decode(json.dumps(fields).encode())


@given(
    st.binary() | st.recursive(st.none() | st.integers(), lambda x: st.lists(x)).map(lambda x: json.dumps(x).encode())
)
def test_any_other_bytes_are_invalid(junk: bytes) -> None:
    with pytest.raises(Invalid):
        decode(junk)


def test_deep_nesting_is_invalid_and_no_crash() -> None:
    with pytest.raises(Invalid):
        decode(b'{"version":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_all_events_of_a_record_share_a_key_and_others_do_not() -> None:
    assert bus_key(PLAIN.project, PLAIN.record_id) == b"acme/019ceca7-8c57-7000-8000-000000abcdef"
    assert bus_key(ProjectId("ä"), PLAIN.record_id) == "ä/".encode() + PLAIN.record_id.encode()
