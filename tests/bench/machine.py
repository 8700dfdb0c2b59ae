"""The facts of the machine and of the programs that a figure means nothing without."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

_PACKAGES = (
    "litestar",
    "uvicorn",
    "uvloop",
    "aiokafka",
    "faststream",
    "clickhouse-connect",
    "chdb",
    "msgspec",
    "pydantic",
)


def facts(folder: Path) -> dict[str, str]:
    """What to print above the table. The folder is where everything measured is kept."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "machine": f"{system}, {os.cpu_count()} cores, load {load}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "files": str(folder),
    }
