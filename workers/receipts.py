"""The proof that a chunk is stored: the only thing that progress on the bus is advanced with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """Every delivery of the chunk is a row or is quarantined."""

    stored: int
    quarantined: int
    resume_at: dict[int, int]  # per partition, the offset of the next record to read
