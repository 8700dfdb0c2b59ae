"""Who may import whom, and that importing does nothing."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {"ledger": {"ledger"}} | {name: {name, "ledger"} for name in ("ingest_api", "workers", "query_api")}
OURS = {*MAY_IMPORT, "deploy", "tests"}

ADAPTERS = {"ledger.bus.kafka", "ledger.bus.sqlite_log", "ledger.store.clickhouse", "ledger.blobs.obstore"}
WIRING = {
    "ingest_api": {"ingest_api/app.py"},
    "workers": {"workers/wiring.py", "workers/drivers/"},
    "query_api": {"query_api/"},
}
"""Where a service may name an adapter. The query service is SQL through and through: the store's pool is its tool."""

DRIVERS = {"aiokafka", "faststream", "litestar", "uvicorn", "clickhouse_connect", "chdb", "obstore", "genai_prices"}
DRIVER_HOMES = {
    "aiokafka": ("ledger/bus/kafka", "ledger/doctor/bus.py", "workers/drivers/"),
    "faststream": ("workers/drivers/",),
    "litestar": ("ingest_api/", "query_api/", "deploy/"),
    "uvicorn": ("deploy/",),
    "clickhouse_connect": ("ledger/store/", "ledger/doctor/store", "workers/drivers/", "query_api/", "deploy/"),
    "chdb": (),
    "obstore": ("ledger/blobs/obstore.py",),
    "genai_prices": ("ledger/prices/compiling.py",),
}


def modules_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_only_import_what_they_may(package: str) -> None:
    for path in modules_of(package):
        imported = {module.partition(".")[0] for module in imported_modules(path)}
        assert not imported & OURS - MAY_IMPORT[package], path.relative_to(ROOT)


@pytest.mark.parametrize("package", WIRING)
def test_services_choose_their_adapters_in_one_place(package: str) -> None:
    for path in modules_of(package):
        name = str(path.relative_to(ROOT))
        if not name.startswith(tuple(WIRING[package])):
            assert not set(imported_modules(path)) & ADAPTERS, name


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_library_is_known_to_its_adapters_only(driver: str) -> None:
    for package in (*MAY_IMPORT, "deploy"):
        for path in modules_of(package):
            name = str(path.relative_to(ROOT))
            if not name.startswith(DRIVER_HOMES[driver]):
                assert driver not in {module.partition(".")[0] for module in imported_modules(path)}, name


def test_only_the_command_line_reads_the_environment() -> None:
    for package in MAY_IMPORT:
        for path in modules_of(package):
            reads = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            assert not reads & {"environ", "getenv"}, path.relative_to(ROOT)


@pytest.mark.parametrize(
    "module", ["ingest_api.app", "query_api.app", "workers.pipeline", "workers.drivers.kafka", "deploy.cli"]
)
def test_importing_needs_no_environment_and_does_nothing(module: str, tmp_path: Path) -> None:
    script = f"import threading, {module}; assert threading.active_count() == 1"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())
