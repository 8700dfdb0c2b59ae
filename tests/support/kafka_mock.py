"""A Kafka that answers as told: librdkafka's mock cluster, reached through its C functions.

It keeps records in memory, checks no sequence numbers and serves consumers only in simple cases; it is for the faults
of the produce protocol that a real broker cannot be made to show.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PRODUCE, INIT_PRODUCER_ID = 0, 22  # keys of requests in the protocol
_PRODUCER = 0  # librdkafka's name for the kind of client that carries the cluster


class BrokerAnswer(IntEnum):
    """Error codes of the protocol, and -195: the connection breaks instead of an answer."""

    TRANSPORT = -195
    NOT_LEADER_FOR_PARTITION = 6
    REQUEST_TIMED_OUT = 7
    MESSAGE_TOO_LARGE = 10
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    NOT_ENOUGH_REPLICAS = 19
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
    TOPIC_AUTHORIZATION_FAILED = 29
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    DUPLICATE_SEQUENCE_NUMBER = 46
    INVALID_PRODUCER_EPOCH = 47
    KAFKA_STORAGE_ERROR = 56
    UNKNOWN_PRODUCER_ID = 59


class MockCluster:
    """One broker in this process."""

    def __init__(self, library: Any, cluster: int) -> None:
        self._library = library
        self._cluster = cluster
        self.bootstrap_servers = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Make an empty topic."""
        self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)

    def answer_produce(self, *answers: BrokerAnswer) -> None:
        """Answer the next produce requests with these errors, without storing anything; then normally again."""
        self._answer(PRODUCE, answers)

    def answer_init_producer_id(self, *answers: BrokerAnswer) -> None:
        """The same for the next requests of a producer that begins."""
        self._answer(INIT_PRODUCER_ID, answers)

    def _answer(self, request: int, answers: tuple[BrokerAnswer, ...]) -> None:
        codes = (ctypes.c_int * len(answers))(*answers)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(answers), codes)

    def set_up(self, up: bool) -> None:
        """Let the broker be reachable or not."""
        change = self._library.rd_kafka_mock_broker_set_up if up else self._library.rd_kafka_mock_broker_set_down
        change(self._cluster, 1)

    def set_leaderless(self, topic: str, partition: int, *, leaderless: bool) -> None:
        """Take the leader of the partition away, or give it back."""
        leader = -1 if leaderless else 1
        self._library.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, leader)


@contextmanager
def a_mock_cluster() -> Iterator[MockCluster]:
    """A cluster that lives as long as the block."""
    library = _librdkafka()
    reason = ctypes.create_string_buffer(512)
    configuration = library.rd_kafka_conf_new()
    client = library.rd_kafka_new(_PRODUCER, configuration, reason, len(reason))
    if not client:
        raise RuntimeError(reason.value.decode())
    cluster = library.rd_kafka_mock_cluster_new(client, 1)
    try:
        yield MockCluster(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)


def _librdkafka() -> Any:
    package = find_spec("confluent_kafka")
    assert package is not None
    assert package.origin is not None
    home = Path(package.origin).parent
    folders = [home.parent / "confluent_kafka.libs", home / ".dylibs"]  # Linux, macOS
    path = next(found for folder in folders for found in sorted(folder.glob("librdkafka*")))
    library: Any = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_cluster_destroy.argtypes = [ctypes.c_void_p]
    library.rd_kafka_destroy.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    codes: Any = ctypes.POINTER(ctypes.c_int)
    library.rd_kafka_mock_push_request_errors_array.argtypes = [ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t, codes]
    library.rd_kafka_mock_partition_set_leader.argtypes = [ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_int32] * 2]
    for name in ("rd_kafka_mock_broker_set_up", "rd_kafka_mock_broker_set_down"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int32]
    return library
