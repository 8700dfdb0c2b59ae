"""Whether a WAL file was damaged after it was written, as opposed to torn while it was.

SQLite reads a WAL up to the first frame that is not whole and takes the rest as never committed. That is right for a
write that a crash has torn: it was the last one, and nobody was told of it. Commits behind such a place tell of damage,
since one begins only when the one before is on disk. The format is documented at sqlite.org/walformat.html.
"""

import struct
from pathlib import Path

_HEADER = struct.Struct(">8I")  # magic, version, page size, sequence, salt 1, salt 2, checksum 1, checksum 2
_FRAME = struct.Struct(">4I")  # page number, pages after a commit (else 0), salt 1, salt 2
_FRAME_HEADER_BYTES = 24
_MAGICS = {0x377F0682: "<", 0x377F0683: ">"}  # and in which byte order the checksums were computed
_IN_FLIGHT = 1  # commit that was never acknowledged may lie behind a torn frame, as its blocks reach the disk unordered


def lost_commits(wal: Path, frames_in_use: int, page_bytes: int) -> int:
    """How many acknowledged commits lie behind the frames that SQLite uses; 0 for a sound or torn file, or for none.

    The size of the pages is that of the file beside it, in case the WAL cannot say it any more.
    """
    try:
        size = wal.stat().st_size
    except FileNotFoundError:
        return 0
    if size < _HEADER.size + _FRAME_HEADER_BYTES:
        return 0
    with wal.open("rb") as file:
        raw = file.read(_HEADER.size)
        if raw == bytes(_HEADER.size):
            return 0
        header = _HEADER.unpack(raw)
        sound = _is_sound(raw, header)
        page = header[2] if sound else page_bytes
        salts = (header[4], header[5]) if sound else None
        frame_bytes = _FRAME_HEADER_BYTES + page
        commits = 0
        for start in range(_HEADER.size + frames_in_use * frame_bytes, size - frame_bytes + 1, frame_bytes):
            file.seek(start)
            number, pages, *found = _FRAME.unpack(file.read(_FRAME.size))
            salts = salts or (found[0], found[1])  # a header that cannot be read: what the first frame says
            commits += number > 0 and pages > 0 and (found[0], found[1]) == salts
    return max(0, commits - _IN_FLIGHT)


def _is_sound(raw: bytes, header: tuple[int, ...]) -> bool:
    order = _MAGICS.get(header[0])
    if order is None:
        return False
    first = second = 0
    words = struct.unpack(f"{order}6I", raw[:24])
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return (first, second) == (header[6], header[7])
