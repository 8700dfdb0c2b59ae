"""The collector looks rarely, and never at what was there before the work began."""

import gc
from collections.abc import Iterator

import pytest

from workers.collecting import collect_rarely


@pytest.fixture
def as_it_was() -> Iterator[int]:
    """How many new objects made it look before; so it is again afterwards."""
    before = gc.get_threshold()
    yield before[0]
    gc.set_threshold(*before)
    gc.unfreeze()


def test_it_looks_after_more_new_objects_than_before_and_leaves_what_is_there_alone(as_it_was: int) -> None:
    frozen = gc.get_freeze_count()
    collect_rarely()
    assert gc.get_threshold()[0] > as_it_was
    assert gc.get_freeze_count() > frozen
    assert gc.isenabled()
