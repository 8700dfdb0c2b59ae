"""What a standalone keeps where nothing else was set: its settings, and the size of its disk."""

import shutil
from pathlib import Path

from ledger.retention import Installation
from ledger.settings import RetentionSection

BYTES_OF_GB = 1000**3
SHARE_OF_DISK = 2


def installation_of(section: RetentionSection, folder: Path) -> Installation:
    """The default days, and the cap of the store in this folder, which is there.

    Without a setting the cap is half of the disk. Not of what is free: others who fill the disk must not cost a call.
    """
    if section.max_gb is None:
        return Installation(section.days, shutil.disk_usage(folder).total // SHARE_OF_DISK, cap_is_default=True)
    return Installation(section.days, int(section.max_gb * BYTES_OF_GB))


def words(days: int | None, max_bytes: int | None) -> str:
    """What is kept by default, for people."""
    kept = "calls for ever" if days is None else f"calls for {days} days"
    return kept if max_bytes is None else f"{kept}, at most {gigabytes(max_bytes)} of them"


def gigabytes(size: int) -> str:
    """A size as it is said."""
    return f"{size / BYTES_OF_GB:.3g} GB"
