"""The container variant of the test broker, asserted where there is no Docker to run it."""

from tests.support import kafka_settings


def test_one_version_of_kafka_everywhere() -> None:
    assert kafka_settings.CONTAINER_IMAGE == "apache/kafka:4.3.1"
    assert kafka_settings.JAVA_COORDINATES.startswith("org.apache.kafka:kafka_2.13:4.3.1+")


def test_the_container_advertises_the_port_that_clients_come_through() -> None:
    environment = kafka_settings.container_environment(19092)
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:19092"
    assert environment["KAFKA_LISTENERS"] == "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093"
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@127.0.0.1:9093"
    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"


def test_the_container_takes_the_largest_records_and_makes_no_topics_by_itself() -> None:
    environment = kafka_settings.container_environment(19092)
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) > 37 * 1024 * 1024
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "1"


def test_both_variants_have_the_same_settings() -> None:
    settings = kafka_settings.broker_settings(
        listen="0.0.0.0:9092", advertised="127.0.0.1:19092", controller_port=9093, folder="/var/lib/kafka/data"
    )
    named = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
    environment = kafka_settings.container_environment(19092)
    assert environment == {**named, "CLUSTER_ID": kafka_settings.CLUSTER_ID}
