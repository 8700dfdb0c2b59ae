"""The command line as an operator meets it: what it prints where, its exit codes, what it says of wrong settings."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
import rich_click as click

from deploy.cli import main
from tests.support.child_process import run_command, succeeded
from tests.support.standalone_process import start_standalone


def all_commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The command itself and everything below it."""
    found = [path]
    for name, inner in getattr(command, "commands", {}).items():
        found.extend(all_commands(inner, (*path, name)))
    return found


def words_of(text: str) -> str:
    """The text without the frame that is drawn around it."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def test_version_is_that_of_the_package(tmp_path: Path) -> None:
    installed = version("llmledger")
    assert succeeded(["version"], tmp_path) == f"llmledger {installed}\n"
    assert json.loads(succeeded(["version", "--json"], tmp_path)) == {"name": "llmledger", "version": installed}


@pytest.mark.parametrize("path", all_commands(main), ids=lambda path: " ".join(path) or "llmledger")
def test_every_command_explains_itself(tmp_path: Path, path: tuple[str, ...]) -> None:
    shown = words_of(succeeded([*path, "--help"], tmp_path))
    assert f"Usage: {' '.join(['llmledger', *path])} " in shown
    assert "Show this message and exit." in shown


def test_the_settings_are_shown_with_their_origin_and_without_their_secrets(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("of-a-file\n")
    (tmp_path / ".config" / "llmledger").mkdir(parents=True)
    toml = tmp_path / ".config" / "llmledger" / "llmledger.toml"
    toml.write_text('[kafka]\ntopic = "of-toml"\ngroup = "of-toml"\npartitions = 5\n')
    (tmp_path / ".env").write_text("LLMLEDGER_KAFKA__TOPIC=of-dotenv\nLLMLEDGER_KAFKA__GROUP=of-dotenv\n")
    settings = {
        "LLMLEDGER_KAFKA__TOPIC": "of-environment",
        "LLMLEDGER_STORE__DSN": "https://user:of-a-dsn@store.example/ledger",
        "LLMLEDGER_KAFKA__SASL_PASSWORD_FILE": str(secret),
        "LLMLEDGER_API_KEY": "of-the-client",
        "PORT": "8123",
        "HOST": "not-ours",
    }

    shown = succeeded(["config", "show", "--json"], tmp_path, settings)

    given = json.loads(shown)["set"]
    assert given["LLMLEDGER_KAFKA__TOPIC"] == {"value": "of-environment", "origin": "environment"}
    assert given["LLMLEDGER_KAFKA__GROUP"] == {"value": "of-dotenv", "origin": str(tmp_path / ".env")}
    assert given["LLMLEDGER_KAFKA__PARTITIONS"] == {"value": "5", "origin": str(toml)}
    assert given["LLMLEDGER_SERVER__PORT"] == {"value": "8123", "origin": "environment (PORT)"}
    assert given["LLMLEDGER_STORE__DSN"]["value"] == "***"
    assert given["LLMLEDGER_KAFKA__SASL_PASSWORD"] == {"value": "***", "origin": str(secret)}
    assert given["LLMLEDGER_API_KEY"]["value"] == "***"
    as_text = succeeded(["config", "show"], tmp_path, settings)
    assert f"LLMLEDGER_KAFKA__PARTITIONS=5  ({toml})" in as_text.splitlines()
    assert "LLMLEDGER_BLOBS__URL  (default)" in as_text.splitlines()
    for text in ("of-a-dsn", "of-a-file", "of-the-client", "not-ours"):
        assert text not in shown + as_text


@pytest.mark.parametrize(
    "arguments", [["config", "show"], ["keys", "create", "--project", "p", "--scope", "query"]], ids=" ".join
)
def test_a_name_that_nothing_reads_is_told_once_with_the_name_that_may_be_meant(
    tmp_path: Path, arguments: list[str]
) -> None:
    wrong = {"LLMLEDGER_KAFKA__BOOTSTRAP_SERVER": "x:9092", "LLMLEDGER_TEST_KAFKA": "y:9092"}
    ended = run_command([*arguments, "--json"], tmp_path, wrong)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)
    assert [line for line in ended.stderr.splitlines() if line.startswith("Warning")] == [
        "Warning: LLMLEDGER_KAFKA__BOOTSTRAP_SERVER (environment) is not a setting."
        " Did you mean LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS?"
    ]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ([], {"LLMLEDGER_SERVER__PORT": "many"}, "LLMLEDGER_SERVER__PORT must be a number, not 'many'."),
        ([], {"LLMLEDGER_BATCH__MAX_ROWS": "1e3"}, "LLMLEDGER_BATCH__MAX_ROWS must be a number, not '1e3'."),
        (["ingest-api"], {}, "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS is not set."),
        (["topics", "ensure"], {}, "LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS is not set."),
        (["query-api"], {}, "LLMLEDGER_STORE__DSN is not set."),
        (["workers"], {"LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": "x:9092"}, "LLMLEDGER_STORE__DSN is not set."),
        (
            ["workers"],
            {"LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": "x:9092", "LLMLEDGER_KAFKA__PARTITIONS": "few"},
            "LLMLEDGER_KAFKA__PARTITIONS must be a number, not 'few'.",
        ),
    ],
)
def test_a_wrong_or_missing_setting_ends_the_start_with_its_name(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], message: str
) -> None:
    ended = run_command(arguments, tmp_path, settings)
    assert ended.returncode == 1
    assert message in words_of(ended.stderr)
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verson"], "No such command 'verson'. Did you mean 'version'?"),
        (["--port", "65536"], "65536 is not in the range 0<=x<=65535"),
        (["--nonsense"], "No such option"),
        (["keys", "create", "--scope", "ingest"], "Missing option '--project'."),
        (["keys", "create", "--project", "p", "--scope", "write"], "'write' is not one of"),
        (["keys", "revoke"], "Missing argument 'KEY_ID'."),
        (["topics"], "Usage: llmledger topics"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2_and_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    ended = run_command(arguments, tmp_path)
    assert ended.returncode == 2
    assert message in words_of(ended.stdout + ended.stderr)


def test_migrate_checks_and_brings_a_data_folder_up_to_date(tmp_path: Path) -> None:
    own = ["--data", str(tmp_path / "data")]

    before = run_command(["migrate", "--check", *own], tmp_path)
    assert before.returncode == 1
    assert "There is no store in" in words_of(before.stderr)
    assert "Run: llmledger migrate" in words_of(before.stderr)
    assert not (tmp_path / "data").exists(), "a check changes nothing"

    first = run_command(["migrate", *own], tmp_path)
    assert (first.returncode, first.stdout) == (0, "")
    assert "Applied migrations [1, 2" in first.stderr

    for command in (["migrate", "--check", *own], ["migrate", *own]):
        ended = run_command(command, tmp_path)
        assert (ended.returncode, ended.stderr) == (0, "The schema is up to date.\n")


def test_migrate_leaves_a_folder_alone_that_the_product_runs_on(tmp_path: Path) -> None:
    running = start_standalone(tmp_path)
    try:
        ended = run_command(["migrate", "--data", str(running.data)], tmp_path)
        assert ended.returncode == 1
        assert f"A running llmledger uses {running.data}" in words_of(ended.stderr)
        running.stop()
    finally:
        running.kill()


def test_a_new_key_is_the_only_thing_on_stdout_and_is_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = run_command(["keys", "create", "--file", str(file), "--project", "acme", "--scope", "ingest"], tmp_path)
    assert made.returncode == 0
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n"
    assert "not shown again" in made.stderr
    assert key.split("_")[3] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    (listed,) = json.loads(succeeded(["keys", "list", "--file", str(file), "--json"], tmp_path))
    assert (listed["project"], listed["scopes"]) == ("acme", ["ingest"])
    assert key not in json.dumps(listed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keys", "list"], "does not exist. Make a key: llmledger keys create."),
        (["keys", "revoke", "cafe"], "There is no key with the id cafe."),
        (["keys", "create", "--project", "*", "--scope", "ingest"], "A key of all projects can read only"),
    ],
)
def test_what_the_key_file_cannot_give_ends_with_exit_code_1(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    ended = run_command([*arguments, "--data", str(tmp_path / "data")], tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in words_of(ended.stderr)


def test_kafka_that_is_away_ends_the_command_with_its_address(tmp_path: Path) -> None:
    ended = run_command(["topics", "ensure"], tmp_path, {"LLMLEDGER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert ended.returncode == 1
    assert "Kafka does not answer at 127.0.0.1:1." in words_of(ended.stderr)
