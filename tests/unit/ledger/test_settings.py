"""Sections from variables: names, types, defaults, and errors that name the variable."""

from pathlib import Path

import pytest

from ledger.errors import Misconfigured
from ledger.settings import (
    SECRETS,
    SECTIONS,
    BatchSection,
    BlobsSection,
    KafkaSection,
    KeysSection,
    QueryCaps,
    ServerSection,
    StoreSection,
    known_variables,
    read_section,
    variable_name,
)


def test_a_section_is_read_under_its_name() -> None:
    values = {"LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": "k:9092", "LLMLEDGER_KAFKA__PARTITIONS": "3", "OTHER": "x"}
    assert read_section(KafkaSection, "KAFKA", values) == KafkaSection(bootstrap_servers="k:9092", partitions=3)


def test_values_have_the_fields_types() -> None:
    values = {"LLMLEDGER_BATCH__MAX_ROWS": "7", "LLMLEDGER_BATCH__MAX_AGE_SECONDS": "0.5"}
    assert read_section(BatchSection, "BATCH", values) == BatchSection(max_rows=7, max_age_seconds=0.5)
    assert read_section(KeysSection, "KEYS", {"LLMLEDGER_KEYS__FILE": "/k"}) == KeysSection(Path("/k"))
    kafka = {"LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": "k", "LLMLEDGER_KAFKA__SASL_USERNAME": "me"}
    assert read_section(KafkaSection, "KAFKA", kafka).sasl_username == "me"


def test_a_callers_default_replaces_the_sections_and_yields_to_the_variable() -> None:
    assert read_section(ServerSection, "SERVER", {}, port=8001) == ServerSection(port=8001)
    assert read_section(ServerSection, "SERVER", {"LLMLEDGER_SERVER__PORT": "1"}, port=8001) == ServerSection(port=1)
    assert read_section(StoreSection, "STORE", {}, dsn="chdb:///x") == StoreSection("chdb:///x")


@pytest.mark.parametrize(
    ("section", "name", "variable"),
    [
        (KafkaSection, "KAFKA", "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS"),
        (StoreSection, "STORE", "LLMLEDGER_STORE__DSN"),
        (KeysSection, "KEYS", "LLMLEDGER_KEYS__FILE"),
        (BlobsSection, "BLOBS", "LLMLEDGER_BLOBS__URL"),
    ],
)
def test_a_missing_value_is_named(section: type, name: str, variable: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{variable} is not set"):
        read_section(section, name, {})


@pytest.mark.parametrize("text", ["", "many", "1.5", "0x10"])
def test_a_value_of_the_wrong_form_is_named(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"^LLMLEDGER_BATCH__MAX_ROWS must be a number"):
        read_section(BatchSection, "BATCH", {"LLMLEDGER_BATCH__MAX_ROWS": text})


def test_secrets_are_not_shown() -> None:
    kafka = KafkaSection("k", sasl_password="hush")
    assert "hush" not in repr(kafka)
    assert "hush" not in repr(StoreSection("http://u:hush@h/d"))
    assert known_variables() >= SECRETS


def test_every_field_of_every_section_is_a_known_variable() -> None:
    known = known_variables()
    assert {variable_name("KAFKA", "topic"), "LLMLEDGER_STORE__DSN_FILE", "LLMLEDGER_DATA"} <= known
    assert {name.split("__")[0].removeprefix("LLMLEDGER_") for name in known if "__" in name} == set(SECTIONS)


@pytest.mark.parametrize(
    ("section", "name", "variable", "text"),
    [
        (BatchSection, "BATCH", "LLMLEDGER_BATCH__MAX_ROWS", "0"),
        (BatchSection, "BATCH", "LLMLEDGER_BATCH__MAX_BYTES", "-1"),
        (BatchSection, "BATCH", "LLMLEDGER_BATCH__MAX_AGE_SECONDS", "nan"),
        (BatchSection, "BATCH", "LLMLEDGER_BATCH__MAX_AGE_SECONDS", "inf"),
        (QueryCaps, "QUERY", "LLMLEDGER_QUERY__MAX_SECONDS", "-5"),
        (ServerSection, "SERVER", "LLMLEDGER_SERVER__PORT", "-1"),
    ],
)
def test_a_number_that_would_stop_the_work_is_refused_by_name(
    section: type, name: str, variable: str, text: str
) -> None:
    with pytest.raises(Misconfigured, match=variable):
        read_section(section, name, {variable: text})


def test_port_0_means_any_free_one() -> None:
    assert read_section(ServerSection, "SERVER", {"LLMLEDGER_SERVER__PORT": "0"}).port == 0
