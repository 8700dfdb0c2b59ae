"""Apache Kafka in its official image, for machines where a Docker daemon answers."""

from testcontainers.core.container import DockerContainer

from tests.support.kafka_settings import CONTAINER_IMAGE, CONTAINER_PORT, container_environment, free_port


class ContainerBroker:
    """One broker in a container. Stopping keeps the container, so that the next start finds the same data."""

    controllable = True

    def __init__(self, port: int | None = None) -> None:
        chosen = port or free_port()
        self.bootstrap_servers = f"127.0.0.1:{chosen}"
        self._made = False
        self._container = DockerContainer(CONTAINER_IMAGE).with_bind_ports(CONTAINER_PORT, chosen)
        for name, value in container_environment(chosen).items():
            self._container.with_env(name, value)

    def start(self) -> None:
        """Start the container. Readiness is for the caller to await."""
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True

    def stop(self) -> None:
        """End the broker in good order."""
        self._container.get_wrapped_container().stop(timeout=30)

    def kill(self) -> None:
        """End the broker as a crash would."""
        self._container.get_wrapped_container().kill()

    def remove(self) -> None:
        """End the broker and delete what it stored."""
        self._container.stop(force=True)

    def log(self) -> str:
        """What the broker printed last, for error messages."""
        return b"".join(self._container.get_logs()).decode(errors="replace")[-4000:]
