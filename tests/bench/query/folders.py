"""Where data sets are: one folder per number of rows, filled once, and a copy to work on that costs no room.

The engine never changes a data file once it is written, so the copy shares them by hard links; all else is copied. What
a run inserts and merges is gone with its copy, and the next run begins with the same data set.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.query.marker import Marker, is_usable, read_marker

_BYTES_PER_ROW = 900  # on disk, both tables
_COPIES = 1  # what is merged lies beside what it was merged from
_DATA_FILES = frozenset(
    {".bin", ".packed", ".dat", ".idx", ".cidx", ".mrk2", ".mrk3", ".mrk4", ".cmrk2", ".cmrk3", ".cmrk4"}
)
_FILL_SECONDS = 3 * 3600.0


class NoRoom(Exception):
    """The disk is too full for the data set."""


def data_set(root: Path, rows: int) -> Path:
    """The folder of a complete data set of so many rows, which is filled where there is none. Raises `NoRoom`."""
    folder = root / str(rows)
    if not is_usable(folder, rows):
        shutil.rmtree(folder, ignore_errors=True)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_room(root, rows, copies=1 + _COPIES)
        _say(f"filling {rows:,} rows in {folder} …")
        command = [sys.executable, "-m", "tests.bench.query.filling", str(folder), "--rows", str(rows)]
        subprocess.run(command, check=True, timeout=_FILL_SECONDS)
    _say_filled(read_marker(folder))
    return folder


@contextmanager
def working_copy(folder: Path) -> Iterator[Path]:
    """A copy of the data set, for as long as it is worked with. Raises `NoRoom`."""
    copy = folder.with_name(f"{folder.name}.work")
    shutil.rmtree(copy, ignore_errors=True)
    _check_room(folder, read_marker(folder).parameters.rows, copies=_COPIES)
    shutil.copytree(folder, copy, copy_function=_linked_or_copied, symlinks=True)
    try:
        yield copy
    finally:
        shutil.rmtree(copy)


def _linked_or_copied(source: str, target: str) -> None:
    if Path(source).suffix in _DATA_FILES:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _check_room(folder: Path, rows: int, copies: int) -> None:
    needed, free = rows * _BYTES_PER_ROW * copies, shutil.disk_usage(folder).free
    if free < needed:
        gigabytes = f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        raise NoRoom(f"Too little room in {folder} for {rows:,} rows: {gigabytes}. Choose another one with --folder.")


def _say_filled(marker: Marker) -> None:
    speed = marker.sent / marker.seconds
    _say(f"{marker.sent:,} rows were sent through the store adapter in {marker.seconds:.0f} s ({speed:,.0f}/s)")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
