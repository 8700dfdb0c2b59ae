"""The mark of the standalone worker survives the process, and says nothing of records that it was not about."""

from pathlib import Path

import pytest

from workers.drivers.attempts import Level, Mark, Place
from workers.drivers.mark_file import MarkFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "attempt"


def test_a_mark_is_found_again(path: Path) -> None:
    place = Place(17, Mark(2, 40, Level.ALONE))
    MarkFile(path).write(place)
    assert MarkFile(path).read(17) == place


def test_without_a_file_there_is_no_mark(path: Path) -> None:
    assert MarkFile(path).read(17) == Place(17, None)


def test_a_place_without_a_mark_takes_the_mark_away(path: Path) -> None:
    marks = MarkFile(path)
    marks.write(Place(17, Mark(2, 40)))
    marks.write(Place(40, None))
    marks.write(Place(40, None))
    assert marks.read(40) == Place(40, None)
    assert list(path.parent.iterdir()) == []


def test_when_the_log_has_come_further_the_attempts_were_those_of_another_record(path: Path) -> None:
    MarkFile(path).write(Place(17, Mark(2, 40, Level.ALONE)))
    assert MarkFile(path).read(18) == Place(18, Mark(0, 40, Level.ALONE))


@pytest.mark.parametrize("content", [b"", b"17", b"x together counted=1 until=3", b"\xff\xfe", b"17 together"])
def test_a_file_that_cannot_be_understood_is_no_mark(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert MarkFile(path).read(17) == Place(17, None)
