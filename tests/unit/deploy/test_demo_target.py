"""Where the demo sends to, and that the key which it makes for itself does not outlive it."""

from pathlib import Path

import pytest

from deploy.data_folder import DataFolder
from deploy.demo.target import Target, Wishes, chosen_target, temporary_key
from ledger.clock import system_clock
from ledger.errors import Misconfigured
from ledger.keys import KeyRing, Scope, read_content

NOTHING = Wishes(None, None, None)
URL = "http://127.0.0.1:8123"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """The folder of a standalone that runs."""
    data = DataFolder(tmp_path)
    data.announce(URL, "secret")
    data.first_key()
    return data


def chosen(wishes: Wishes, folder: DataFolder) -> Target:
    with chosen_target(wishes, folder, system_clock) as target:
        return target


def test_the_standalone_on_the_folder_gets_a_key_that_may_only_write(folder: DataFolder) -> None:
    with chosen_target(NOTHING, folder, system_clock) as target:
        principal = KeyRing(folder.keys).find(target.key)
        assert principal is not None
        assert (target.url, principal.project) == (URL, "default")
        assert principal.scopes == {Scope.INGEST}


def test_the_temporary_key_is_revoked_at_the_end_however_it_ends(folder: DataFolder) -> None:
    before = read_content(folder.keys).keys
    with pytest.raises(KeyboardInterrupt), temporary_key(folder, "default", system_clock) as key:
        raise KeyboardInterrupt
    assert KeyRing(folder.keys).find(key) is None
    assert read_content(folder.keys).keys == before


def test_a_key_that_was_given_is_used_as_it_is(folder: DataFolder) -> None:
    before = folder.keys.read_bytes()
    assert chosen(Wishes(None, "own", "acme"), folder) == Target(URL, "own", "acme")
    assert chosen(Wishes("https://ledger.example/", "own", None), folder).url == "https://ledger.example"
    assert folder.keys.read_bytes() == before


@pytest.mark.parametrize("url", ["ledger:8000", "ftp://ledger", "http://", "http://["])
def test_what_is_no_address_is_refused_with_advice(folder: DataFolder, url: str) -> None:
    with pytest.raises(Misconfigured, match="is not an address"):
        chosen(Wishes(url, "own", None), folder)


def test_an_address_without_a_key_is_refused_with_advice(folder: DataFolder) -> None:
    with pytest.raises(Misconfigured, match=r"LLMLEDGER_API_KEY"):
        chosen(Wishes("https://ledger.example", None, None), folder)


def test_a_folder_on_which_nothing_runs_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"No LLM Ledger runs on .* --url"):
        chosen(NOTHING, DataFolder(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_a_broken_run_file_is_refused_with_advice(folder: DataFolder, content: str) -> None:
    folder.run_file.write_text(content)
    with pytest.raises(Misconfigured, match="cannot be read"):
        chosen(NOTHING, folder)


def test_a_target_never_shows_its_key() -> None:
    assert "secret" not in repr(Target(URL, "secret", "default"))
