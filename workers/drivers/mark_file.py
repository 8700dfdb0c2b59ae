"""Where the worker of the standalone mode keeps its mark, see `attempts`: one small file beside the log."""

import os
from pathlib import Path

from workers.drivers.attempts import Mark, Place, mark_from


class MarkFile:
    """What is being tried, durable when `write` returns. Only the first batch after a start is written here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, first_offset: int) -> Place:
        """The mark for a log whose next record is this one. A file that cannot be understood is no mark."""
        try:
            offset, _, text = self._path.read_text(errors="replace").partition(" ")
        except FileNotFoundError:
            return Place(first_offset, None)
        mark = mark_from(text) if offset.isdecimal() else None
        if mark is not None and int(offset) != first_offset:
            mark = Mark(0, mark.until, mark.level)  # it has come further since: what comes now was not tried yet
        return Place(first_offset, mark)

    def write(self, place: Place) -> None:
        """Replace the mark, or take it away. Raises `OSError`."""
        if place.mark is None:
            self._path.unlink(missing_ok=True)
            return
        new = self._path.with_name(self._path.name + ".new")
        with new.open("w") as file:
            file.write(f"{place.offset} {place.mark.text()}")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
