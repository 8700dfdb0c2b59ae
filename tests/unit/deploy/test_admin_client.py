"""How a command reaches the product: by what it was told, else by what runs here, else by what lies here."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.admin_client import Wanted, admin_client
from deploy.commands.context import Failed
from deploy.data_folder import DataFolder
from ledger.bus.sqlite_log import SqliteLog

PATH = "/api/v1/admin/dead-letters"
NOTHING = Wanted()
DSN = {"LLMLEDGER_STORE__DSN": "http://127.0.0.1:1/nowhere"}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


class Product(BaseHTTPRequestHandler):
    """Answers with what it was asked; `/refused`, `/odd` and `/bytes` as their names say."""

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        asked = {"path": self.path, "key": self.headers["authorization"], "body": json.loads(self.rfile.read(length))}
        content = json.dumps({"error": "not \x1b[31myou"} if self.path == "/refused" else asked)
        self.send_response(403 if self.path == "/refused" else 200)
        self.end_headers()
        odd = {"/odd": b"<html>", "/bytes": b"\xff\xff\xff\xff\xff"}
        self.wfile.write(odd.get(self.path, content.encode()))

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def product() -> Iterator[str]:
    """The address of a product."""
    server = HTTPServer(("127.0.0.1", 0), Product)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(wanted: Wanted, folder: DataFolder, given: dict[str, str] | None = None, path: str = "/x") -> Any:
    with admin_client(wanted, given or {}, folder) as client:
        return client.request("POST", path, params={"a": 1}, body={"b": True})


def test_an_address_and_a_key_are_used_as_they_are_given(folder: DataFolder) -> None:
    with product() as url:
        assert asked(Wanted(url, "secret"), folder) == {
            "path": "/x?a=1",
            "key": "Bearer secret",
            "body": {"b": True},
        }
        settings = {"LLMLEDGER_URL": url, "LLMLEDGER_API_KEY": "other"} | DSN
        assert asked(NOTHING, folder, settings)["key"] == "Bearer other"


async def test_what_runs_on_the_folder_is_reached_with_the_token_of_its_start(folder: DataFolder) -> None:
    log = SqliteLog(folder.log)
    try:
        with product() as url:
            folder.announce(url, "token")
            assert asked(NOTHING, folder, DSN)["key"] == "Bearer token"
            named = Wanted(data=folder.root)
            assert asked(named, folder, {"LLMLEDGER_URL": "http://127.0.0.1:1"})["key"] == "Bearer token"
    finally:
        await log.close()


async def test_what_runs_there_and_has_not_said_where_is_told_apart(folder: DataFolder) -> None:
    log = SqliteLog(folder.log)
    try:
        with pytest.raises(Failed, match=r"cannot be read from .*run.json"):
            asked(NOTHING, folder)
    finally:
        await log.close()


def test_what_the_product_says_is_passed_on(folder: DataFolder) -> None:
    with product() as url, admin_client(Wanted(url, "k"), {}, folder) as client:
        with pytest.raises(Failed, match="answered 403: not \ufffd\\[31myou"):
            client.request("POST", "/refused", body={})
        with pytest.raises(Failed, match="no JSON"):
            client.request("POST", "/odd", body={})
        with pytest.raises(Failed, match="no JSON"):
            client.request("POST", "/bytes", body={})


@pytest.mark.parametrize("url", ["nonsense", "http://[", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(folder: DataFolder, url: str) -> None:
    with pytest.raises(Failed, match="is not an address"):
        asked(Wanted(url, "k"), folder)


def test_what_does_not_answer_a_missing_key_and_an_empty_folder_are_said(folder: DataFolder) -> None:
    with pytest.raises(Failed, match="Does it run"):
        asked(Wanted("http://127.0.0.1:1", "k"), folder)
    with pytest.raises(Failed, match="There is no key"):
        asked(Wanted("http://127.0.0.1:1"), folder)
    with pytest.raises(Failed, match="There is no LLM Ledger to reach"):
        asked(NOTHING, folder)


def test_over_the_clusters_store_a_missing_setting_is_named(folder: DataFolder) -> None:
    with pytest.raises(Failed, match="LLMLEDGER_KEYS__FILE is not set"):
        asked(NOTHING, folder, DSN)


def test_over_the_clusters_store_without_kafka_what_needs_it_is_refused(folder: DataFolder) -> None:
    settings = DSN | {"LLMLEDGER_KEYS__FILE": str(folder.keys), "LLMLEDGER_BLOBS__URL": "memory:///"}
    with (
        admin_client(NOTHING, settings, folder) as client,
        pytest.raises(Failed, match="LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS is not set"),
    ):
        client.request("POST", f"{PATH}/replay", body={})


def test_over_the_clusters_store_a_kafka_that_is_away_is_not_waited_for_without_need(folder: DataFolder) -> None:
    settings = DSN | {
        "LLMLEDGER_KEYS__FILE": str(folder.keys),
        "LLMLEDGER_BLOBS__URL": "memory:///",
        "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    with admin_client(NOTHING, settings, folder) as client, pytest.raises(Failed, match="answered 503"):
        client.request("GET", PATH)
