"""What stands before an endpoint of ours does not drop what it was told without a word."""

import pytest
from litestar import Litestar
from litestar.config.cors import CORSConfig

from ingest_api.answering import CrossOrigin, direct


@pytest.mark.parametrize("option", ["guards", "dependencies", "before_request", "middleware", "status_code"])
def test_an_endpoint_refuses_what_would_not_count(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        direct(["/x"], **{"summary": "X", option: []})


def test_what_handles_foreign_origins_is_looked_for() -> None:
    with pytest.raises(TypeError, match="foreign origins"):
        CrossOrigin(Litestar([]).asgi_handler)
    CrossOrigin(Litestar([], cors_config=CORSConfig()).asgi_handler)
