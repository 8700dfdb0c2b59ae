"""What a test broker is made of: versions, ports and settings, as values to be read without Docker or Java."""

import socket

KAFKA_VERSION = "4.3.1"
CONTAINER_IMAGE = f"apache/kafka:{KAFKA_VERSION}"
CONTAINER_PORT = 9092
JAVA_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
CLUSTER_ID = "bGVkZ2VyLXRlc3Qta2Fma2"  # 22 characters of URL-safe base64: what Kafka takes for 16 bytes
_RECORD_LIMIT = 40 * 1024 * 1024  # above every topic's own limit, dead letters included

_ROOM_FOR_LARGE_RECORDS = {
    "message.max.bytes": str(_RECORD_LIMIT),
    "replica.fetch.max.bytes": str(_RECORD_LIMIT),
    "socket.request.max.bytes": str(2 * _RECORD_LIMIT),
}
_ONE_BROKER = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",  # fifty partitions of an internal topic cost a second at the first commit
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # tests of killed workers wait for the end of their sessions
    "broker.session.timeout.ms": "3000",  # how long a killed broker's place stays taken when it comes back
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",
}


def broker_settings(*, listen: str, advertised: str, controller_port: int, folder: str) -> dict[str, str]:
    """The properties of one broker that is its own controller. `listen` and `advertised` are `host:port`."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{listen},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{advertised}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder,
        **_ONE_BROKER,
        **_ROOM_FOR_LARGE_RECORDS,
    }


def container_environment(host_port: int) -> dict[str, str]:
    """The same settings the way the official image takes them, for clients that come through `host_port`."""
    settings = broker_settings(
        listen=f"0.0.0.0:{CONTAINER_PORT}",
        advertised=f"127.0.0.1:{host_port}",
        controller_port=9093,
        folder="/var/lib/kafka/data",
    )
    named = {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in settings.items()}
    return {**named, "CLUSTER_ID": CLUSTER_ID}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
