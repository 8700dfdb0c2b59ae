"""The price data files beside this module: append-only, so that a call can be priced by any version ever published.

`versions.txt` lists them, oldest first, each with the source it was compiled from; the last one is current.
"""

import gzip
from pathlib import Path

from ledger.errors import LedgerError
from ledger.prices.schema import version_of

FOLDER = Path(__file__).parent / "data"
_LIST = "versions.txt"


class UnknownPriceVersion(LedgerError):
    """This program does not carry the price data of that version; a newer one does."""


def known_versions(folder: Path = FOLDER) -> tuple[str, ...]:
    """Every version in the folder, oldest first."""
    listed = folder / _LIST
    lines = listed.read_text("utf-8").splitlines() if listed.exists() else []
    return tuple(line.split()[0] for line in lines if line.strip())


def current_version(folder: Path = FOLDER) -> str:
    """The version that new calls are priced by. Raises `UnknownPriceVersion` when the folder has none."""
    versions = known_versions(folder)
    if not versions:
        raise UnknownPriceVersion(f"There are no price data in {folder}.")
    return versions[-1]


def read(version: str, folder: Path = FOLDER) -> bytes:
    """The content of a version. Raises `UnknownPriceVersion` when it is not carried, or is not what its name says."""
    if version not in known_versions(folder):
        raise UnknownPriceVersion(f"This program does not carry price data of version {version!r}.")
    content = gzip.decompress(_path(version, folder).read_bytes())
    if version_of(content) != version:
        raise UnknownPriceVersion(f"The price data in {_path(version, folder).name} are not those of that version.")
    return content


def append(content: bytes, source: str, folder: Path = FOLDER) -> str | None:
    """Make this content the current version and return its name; None when it already is the current one."""
    version = version_of(content)
    versions = known_versions(folder)
    if versions[-1:] == (version,):
        return None
    if version not in versions:
        _path(version, folder).write_bytes(gzip.compress(content, mtime=0))
    with (folder / _LIST).open("a", encoding="utf-8") as listed:
        listed.write(f"{version} {source}\n")
    return version


def _path(version: str, folder: Path) -> Path:
    return folder / f"{version}.json.gz"
