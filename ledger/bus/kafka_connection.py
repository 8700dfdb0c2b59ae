"""How to reach Kafka, from the settings: what every client of ours, reading or writing, has in common."""

from typing import Any

from aiokafka.codec import has_lz4, has_zstd
from aiokafka.helpers import create_ssl_context

from ledger.errors import Misconfigured
from ledger.settings import KafkaSection


def connection(section: KafkaSection) -> dict[str, Any]:
    """Keyword arguments that aiokafka's producer, consumer and admin client take alike. Certificates are verified."""
    options: dict[str, Any] = {
        "bootstrap_servers": section.bootstrap_servers,
        "client_id": "llmledger",
        "security_protocol": section.security_protocol,
    }
    if section.security_protocol.endswith("SSL"):
        options["ssl_context"] = create_ssl_context(cafile=section.ssl_ca_file)
    if section.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = section.sasl_mechanism
        options["sasl_plain_username"] = section.sasl_username
        options["sasl_plain_password"] = section.sasl_password
    return options


def require_codecs() -> None:
    """Raise `Misconfigured` when records in the usual compressions could not be written or read."""
    missing = [name for name, there in (("lz4", has_lz4()), ("zstd", has_zstd())) if not there]
    if missing:
        raise Misconfigured(f"The Kafka client lacks compression libraries: {', '.join(missing)}.")
