"""A Kafka broker of a run's own: a JVM by its process id, on a folder of its own, that allows short sessions."""

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.kafka_jvm import JvmBroker

_ANSWER_SECONDS = 10.0
_SHORT_SESSIONS = "group.min.session.timeout.ms=1000\n"


class OwnBroker(JvmBroker):
    """Gives its command away; whoever runs it owns the process."""

    def command(self) -> list[str]:
        """What starts the broker on its data."""
        return self._java("kafka.Kafka", str(self._settings))

    def answers(self) -> bool:
        """Whether it knows itself as a member of its cluster."""
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def records_in(self, topic: str) -> int:
        """How many records were ever published to the topic."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "count", "log_level": 0})
        try:
            partitions = consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
            ends = [
                consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_SECONDS)[1]
                for number in partitions
            ]
        finally:
            consumer.close()
        return sum(ends)

    def _write_settings(self) -> None:
        super()._write_settings()
        with self._settings.open("a") as settings:
            settings.write(_SHORT_SESSIONS)
