"""An S3 on a free loopback port of this process: moto's server in a thread."""

import http.client
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from moto.server import ThreadedMotoServer


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that runs."""

    host: str
    port: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What an operator would set for it."""
        return {
            "AWS_ENDPOINT": f"http://{self.host}:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }

    @property
    def options(self) -> Mapping[str, object]:
        """The same as options of obstore."""
        names = ("AWS_ENDPOINT", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        config = {name.lower(): self.environment[name] for name in names}
        return {"config": config, "client_options": {"allow_http": True}}

    def make_bucket(self, name: str) -> str:
        """A new bucket; the URL of a place in it."""
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.request("PUT", f"/{name}")
        assert connection.getresponse().status == 200
        connection.close()
        return f"s3://{name}/ledger"


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server that is stopped at the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request otherwise
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield S3Server(*server.get_host_and_port())
    finally:
        server.stop()
