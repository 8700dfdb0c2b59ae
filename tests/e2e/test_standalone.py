"""The standalone product as its user meets it: starting, stopping, crashing, its keys and its data folder."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.access import Access, at_last
from tests.support.child_process import COMMAND, environment, run_command, succeeded
from tests.support.standalone_process import Standalone, start_standalone

A_REPORT = {
    "requestedAt": 1_750_000_000_000,
    "reqPayload": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]},
    "statusCode": 200,
}

KEY_IN_FORCE_SECONDS = 10.0


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[Standalone]:
    """A product that ends with the test. One that the test has not ended must end in good order."""
    product = start_standalone(home, arguments or ("--port", "0"))
    try:
        yield product
        if product.child.process.poll() is None:
            product.stop()
    finally:
        product.kill()


def pasted(line: str, home: Path) -> str:
    """What the line prints when somebody pastes it into a shell where the product was started."""
    ended = subprocess.run(
        ["bash", "-c", line], cwd=home, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def line_of(product: Standalone, name: str) -> str:
    """The text behind this name in the banner."""
    (found,) = [line for line in product.banner if line.startswith(f"  {name} ")]
    return found.removeprefix(f"  {name} ").strip()


@contextmanager
def taken(port: int) -> Iterator[int]:
    """A port that somebody listens on: we, or whoever was there before."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            assert port, "no port is free"
        yield port or listener.getsockname()[1]


def test_the_first_start_prints_a_key_the_addresses_and_lines_that_work_as_pasted(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        assert product.first_key is not None
        assert str(product.data) in product.banner[0]
        assert not any("taken" in line for line in product.banner)
        assert line_of(product, "List") == f"{product.url}/api/v1/requests"
        assert httpx.get(line_of(product, "API")).json()["openapi"].startswith("3.")

        assert json.loads(pasted(line_of(product, "Try it"), tmp_path)) == {"status": "ok"}

        (row,) = product.access().wait_for_requests(1)
        assert (row["model"], row["completion"], row["prompt_tokens"]) == ("gpt-4o-mini", "Hi!", 9)
        assert json.loads(pasted(line_of(product, "Then"), tmp_path)) == {"requests": [row], "totalCount": 1}


def test_a_second_start_finds_the_data_and_prints_no_key(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        key = first.first_key
        first.access().report(A_REPORT)
        rows = first.access().wait_for_requests(1)

    with running(tmp_path) as second:
        assert second.first_key is None
        assert str(key) not in "\n".join(second.banner)
        assert second.access(key).requests() == rows


def test_the_key_is_kept_nowhere_but_as_a_hash(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        product.access().report(A_REPORT)
        product.access().wait_for_requests(1)
    secret = str(product.first_key).split("_", 3)[3].rpartition("_")[0].encode()
    files = [path for path in product.data.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secret in path.read_bytes()] == []
    assert secret.decode() not in product.child.messages()


def test_stored_data_are_for_their_owner_alone_also_in_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with running(tmp_path) as product:
        modes = {path.name: path.stat().st_mode & 0o777 for path in product.data.iterdir()}
    shared = {name for name, mode in modes.items() if mode & 0o077}
    assert shared == {"engine.xml"}
    assert {"keys.json", "log.sqlite", "store", "blobs"} <= set(modes)


def test_a_taken_default_port_gives_way_to_the_next_free_one_and_the_banner_says_so(tmp_path: Path) -> None:
    with taken(8000) as port, running(tmp_path, "--host", "127.0.0.1") as product:
        assert httpx.URL(product.url).port != port
        assert product.banner[1].strip() == f"Port {port} is taken: this is the next free one."
        assert httpx.get(f"{product.url}/health/ready").status_code == 200


def test_a_port_that_was_asked_for_and_is_taken_ends_the_start_with_a_message(tmp_path: Path) -> None:
    with taken(0) as port:
        ended = run_command(["--data", str(tmp_path / "data"), "--port", str(port)], tmp_path)
    assert ended.returncode == 1
    assert f"Port {port} of 127.0.0.1 is taken. Choose another one with --port." in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_exit_code_0_and_without_complaint(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as product:
        product.access().report(A_REPORT)
        product.child.process.send_signal(number)
        assert product.child.process.wait(30) == 0
        assert product.child.messages() == ""
        assert not (product.data / "run.json").exists()


def test_what_was_accepted_just_before_a_kill_is_listed_once_after_the_restart(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        key = product.first_key
        ids = {product.access().report(A_REPORT) for _ in range(3)}
        product.kill()

    with running(tmp_path) as restarted:
        access = restarted.access(key)
        rows = access.wait_for_requests(len(ids))
        assert sorted(row["id"] for row in rows) == sorted(ids)
        # Later reports come behind the old ones: once they are listed, nothing of before is still on its way.
        ids.add(access.report(A_REPORT))
        rows = access.wait_for_requests(len(ids))
        assert sorted(row["id"] for row in rows) == sorted(ids)


def test_a_second_process_on_the_same_folder_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        under_way = product.data / "tmp" / "an-insert-under-way"
        under_way.write_bytes(b"rows")
        run_file = (product.data / "run.json").read_bytes()

        ended = run_command(["--data", str(product.data), "--port", "0"], tmp_path)

        assert ended.returncode == 1
        assert "in use by another process" in ended.stderr
        assert under_way.read_bytes() == b"rows"
        assert (product.data / "run.json").read_bytes() == run_file
        product.access().report(A_REPORT)
        product.access().wait_for_requests(1)


def test_a_key_works_soon_after_it_was_made_and_not_for_long_after_it_was_revoked(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        made = pasted(line_of(product, "More keys"), tmp_path).strip()
        another = product.access(made)
        assert at_last(lambda: status_of_a_report(another) == 200, KEY_IN_FORCE_SECONDS)
        another.wait_for_requests(1)

        keys = json.loads(succeeded(["keys", "list", "--data", str(product.data), "--json"], tmp_path))
        assert [(key["project"], key["scopes"]) for key in keys] == [("default", ["ingest", "query"])] * 2
        (key_id,) = [key["id"] for key in keys if key["id"] in made]
        succeeded(["keys", "revoke", key_id, "--data", str(product.data)], tmp_path)

        assert at_last(lambda: status_of_a_report(another) == 401, KEY_IN_FORCE_SECONDS)
        assert another.get("/api/v1/requests").status_code == 401
        assert status_of_a_report(product.access()) == 200


def test_it_starts_bare_from_the_folder_that_the_environment_names(tmp_path: Path) -> None:
    data = tmp_path / "elsewhere"
    settings = {"LLMLEDGER_DATA": str(data), "LLMLEDGER_SERVER__PORT": "0"}
    process = subprocess.Popen(
        [str(COMMAND)], cwd=tmp_path, env=environment(tmp_path, settings), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert re.search(rf"ready in .*\(data: {data}, standalone\)", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def status_of_a_report(access: Access) -> int:
    return access.post("/api/v1/report", A_REPORT).status_code
