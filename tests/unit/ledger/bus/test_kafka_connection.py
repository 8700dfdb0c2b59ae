"""Settings become what the Kafka client takes; security is never less than was asked for."""

import ssl
from dataclasses import replace

import pytest

from ledger.bus.kafka_connection import connection, require_codecs
from ledger.settings import KafkaSection

PLAIN = KafkaSection("one:9092,two:9092", sasl_username="user", sasl_password="secret")


def test_without_security_nothing_of_it_is_said() -> None:
    assert connection(PLAIN) == {
        "bootstrap_servers": "one:9092,two:9092",
        "client_id": "llmledger",
        "security_protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_certificates_are_verified(protocol: str) -> None:
    context = connection(replace(PLAIN, security_protocol=protocol))["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_name_and_a_password_are_handed_on(protocol: str) -> None:
    options = connection(replace(PLAIN, security_protocol=protocol, sasl_mechanism="SCRAM-SHA-512"))
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("user", "secret")


def test_the_usual_compressions_are_there() -> None:
    require_codecs()
