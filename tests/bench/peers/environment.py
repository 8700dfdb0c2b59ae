"""One virtual environment per peer, from a lock file kept here: the same packages on every machine and every run.

Nothing of a peer is installed beside the product, and nothing without its hash.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_LOCKS = Path(__file__).parent
_INSTALL_SECONDS = 1800.0


class NotInstalled(Exception):
    """The packages of a peer could not be had."""


def locked_version(peer: str, package: str) -> str:
    """The version of a package that the peer's lock file names."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", _lock(peer).read_text(), re.MULTILINE)
    if found is None:
        raise NotInstalled(f"{_lock(peer)} does not pin {package}. Compile it anew with `make locks`.")
    return found[1]


def programs(root: Path, peer: str, say: Callable[[str], None]) -> Path:
    """The folder of the peer's programs; installs them first where the lock file is another one than last time."""
    folder, wanted = (root / peer).resolve(), hashlib.sha256(_lock(peer).read_bytes()).hexdigest()
    mark = folder / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        say(f"installing {peer} into {folder}: this takes minutes, and about 1 GB …")
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        # The lock has all there is to install; left to itself, pip looks for extras anew and finds them not pinned.
        pip = (str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
        _run(*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(_lock(peer)))
        _run(*pip, "check")
        mark.write_text(wanted)
    return folder / "bin"


def _lock(peer: str) -> Path:
    return _LOCKS / f"{peer}.lock"


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if ended.returncode:
        raise NotInstalled(f"{' '.join(command)}: exit {ended.returncode}\n{ended.stdout}{ended.stderr}")
