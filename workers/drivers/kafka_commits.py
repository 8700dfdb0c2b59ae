"""Writing and reading the group's places, with the marks beside them: asked again until Kafka answers.

A commit of aiokafka may wait for ever while the coordinator is away, so every one has a limit and is then tried again,
as long as the partitions are still this worker's.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from workers.drivers.attempts import Place, mark_from

Offsets = Mapping[TopicPartition, int | tuple[int, str]]
"""What is committed: the next offset of each partition, with or without a text beside it."""

log = logging.getLogger(__name__)


class GroupConsumer(Protocol):
    """The part of a consumer that advances, holds back and knows how far others are."""

    async def commit(self, offsets: Offsets) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def committed(self, partition: TopicPartition) -> int | None: ...
    async def places(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, tuple[int, str]]: ...
    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]: ...


class Commits:
    """The places of one topic in one group, through the consumer that is attached."""

    def __init__(self, topic: str, answer_seconds: float) -> None:
        self._topic = topic
        self._answer_seconds = answer_seconds
        self.consumer: GroupConsumer | None = None
        self.under_way = False

    def named(self, partitions: Iterable[int]) -> frozenset[TopicPartition]:
        """These partitions of the topic."""
        return frozenset(TopicPartition(self._topic, partition) for partition in partitions)

    async def confirmed(self, places: Mapping[int, Place], ours: Callable[[], bool]) -> bool:
        """Commit until it is confirmed; False once they are no longer ours. Raises what Kafka refuses with."""
        while self.consumer is not None and ours():
            self.under_way = True
            try:
                async with asyncio.timeout(self._answer_seconds):
                    await self.consumer.commit(self._offsets(places))
            except TimeoutError:
                log.warning("A commit was not confirmed in time; it is tried again.")
            else:
                return True
            finally:
                self.under_way = False
        return False

    async def once(self, places: Mapping[int, Place]) -> None:
        """Commit marks if it can be done; if not, the ones before them stay."""
        if self.consumer is None or not places:
            return
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self.consumer.commit(self._offsets(places))
        except (KafkaError, TimeoutError) as error:
            log.warning("The marks of what was tried stay; they count as a crash.", extra={"error": repr(error)})

    async def read(self, partitions: Iterable[int], ours: Callable[[], bool]) -> dict[int, Place | None]:
        """Where these partitions stand; None for one without a place. Empty once they are no longer ours."""
        wanted = sorted(self.named(partitions))
        while wanted and self.consumer is not None and ours():
            self.under_way = True
            try:
                async with asyncio.timeout(self._answer_seconds):
                    found = await self.consumer.places(wanted)
            except TimeoutError:
                log.warning("Kafka did not say in time where the group stands; it is asked again.")
            else:
                return {
                    at.partition: Place(found[at][0], mark_from(found[at][1])) if at in found else None for at in wanted
                }
            finally:
                self.under_way = False
        return {}

    def _offsets(self, places: Mapping[int, Place]) -> dict[TopicPartition, int | tuple[int, str]]:
        return {
            TopicPartition(self._topic, partition): (place.offset, place.mark.text()) if place.mark else place.offset
            for partition, place in places.items()
        }
