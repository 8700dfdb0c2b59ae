"""The edges of FastStream and aiokafka: what they would log and forget ends the worker."""

import pytest
from aiokafka.structs import TopicPartition

from ledger.settings import BatchSection
from workers.drivers.kafka_consumer import Listener
from workers.drivers.kafka_intake import Intake, IntakePlan
from workers.drivers.kafka_subscriber import StopInsteadOfSkipping
from workers.receipts import Receipt
from workers.vitals import Vitals


async def never(*_: object) -> Receipt:
    raise AssertionError("nothing is stored here")


@pytest.fixture
async def intake() -> Intake:
    return Intake(IntakePlan("topic", BatchSection()), never, Vitals())


class BrokenIntake(Intake):
    async def revoked(self) -> None:
        raise RuntimeError("broken")


async def test_an_error_at_the_edge_is_the_intakes_failure(intake: Intake) -> None:
    with pytest.raises(ValueError, match="unreadable"):
        async with StopInsteadOfSkipping(intake, object(), context=None):
            raise ValueError("unreadable")
    assert isinstance(intake.failure.result(), ValueError)


async def test_what_goes_well_is_no_failure(intake: Intake) -> None:
    async with StopInsteadOfSkipping(intake, object(), context=None):
        pass
    assert not intake.failure.done()


async def test_the_intake_learns_of_partitions_at_once(intake: Intake) -> None:
    listener = Listener(intake)
    assigned = {TopicPartition("topic", 2), TopicPartition("topic", 5)}
    await listener.on_partitions_assigned(assigned)
    assert intake.partitions == assigned
    await listener.on_partitions_revoked(assigned)
    assert intake.partitions == frozenset()


async def test_an_error_while_giving_partitions_up_is_a_failure() -> None:
    intake = BrokenIntake(IntakePlan("topic", BatchSection()), never, Vitals())
    await Listener(intake).on_partitions_revoked(set())
    assert str(intake.failure.result()) == "broken"
