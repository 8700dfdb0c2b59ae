"""Each request goes to the service that serves its path."""

from typing import Any

import pytest

from deploy.dispatcher import Dispatcher, Mount


class Named:
    """An application that remembers whom it was called for."""

    def __init__(self) -> None:
        self.paths: list[str | None] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope.get("path"))


async def taken_by(dispatcher: Dispatcher, apps: dict[str, Named], scope: dict[str, Any]) -> str:
    unused: Any = None
    named: Any = scope
    await dispatcher(named, unused, unused)
    (name,) = [name for name, app in apps.items() if app.paths]
    return name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a", "exact"),
        ("/a/", "exact"),
        ("//a", "exact"),
        ("/a/b", "otherwise"),
        ("/ab", "otherwise"),
        ("/A", "otherwise"),
        ("/below/x", "below"),
        ("/below/x/y/", "below"),
        ("//below///x", "below"),
        ("/below", "otherwise"),
        ("/", "otherwise"),
        ("", "otherwise"),
        ("/below/special", "special"),
    ],
)
async def test_the_first_mount_that_serves_a_path_gets_the_request_as_it_came(path: str, name: str) -> None:
    apps = {name: Named() for name in ("special", "exact", "below", "otherwise")}
    mounts = [
        Mount("/below/special", apps["special"]),
        Mount("/a", apps["exact"]),
        Mount("/below/", apps["below"]),
        Mount("/below/x", apps["otherwise"]),
    ]
    dispatcher = Dispatcher(mounts, otherwise=apps["otherwise"])
    assert await taken_by(dispatcher, apps, {"type": "http", "path": path}) == name
    assert apps[name].paths == [path]


async def test_what_is_no_request_goes_to_the_rest() -> None:
    apps = {"otherwise": Named()}
    assert await taken_by(Dispatcher([], apps["otherwise"]), apps, {"type": "lifespan"}) == "otherwise"
