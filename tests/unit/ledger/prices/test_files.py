"""The folder of price data: it only ever grows, and what it holds is what its names say."""

import gzip
from pathlib import Path

import pytest

from ledger.prices import files
from ledger.prices.files import UnknownPriceVersion
from ledger.prices.schema import version_of


def test_every_committed_version_can_be_read_and_is_what_its_name_says() -> None:
    versions = files.known_versions()
    assert versions
    for version in versions:
        assert version_of(files.read(version)) == version


def test_every_committed_file_is_listed() -> None:
    assert {path.name.split(".")[0] for path in files.FOLDER.glob("*.json.gz")} == set(files.known_versions())


def test_the_notice_names_the_source_and_its_licence() -> None:
    notice = (files.FOLDER / "NOTICE").read_text("utf-8")
    assert "genai-prices" in notice
    assert "MIT License" in notice
    sources = {line.split(maxsplit=1)[1] for line in (files.FOLDER / "versions.txt").read_text("utf-8").splitlines()}
    assert all(source.split()[-1] in notice for source in sources)


def test_a_version_that_was_appended_is_current_and_older_ones_stay(tmp_path: Path) -> None:
    first = files.append(b"first", "a source 1", tmp_path)
    second = files.append(b"second", "a source 2", tmp_path)
    assert files.known_versions(tmp_path) == (first, second)
    assert files.current_version(tmp_path) == second
    assert first is not None
    assert files.read(first, tmp_path) == b"first"


def test_appending_what_is_current_already_changes_nothing(tmp_path: Path) -> None:
    version = files.append(b"same", "a source 1", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files.append(b"same", "a source 2", tmp_path) is None
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert files.known_versions(tmp_path) == (version,)


def test_data_that_come_back_are_current_again(tmp_path: Path) -> None:
    first = files.append(b"first", "a source 1", tmp_path)
    files.append(b"second", "a source 2", tmp_path)
    assert files.append(b"first", "a source 3", tmp_path) == first
    assert files.current_version(tmp_path) == first


def test_equal_content_gives_equal_files(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
        files.append(b"content", "a source", folder)
    one, other = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == other


def test_a_version_that_is_not_carried_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownPriceVersion, match="does not carry"):
        files.read("0" * 12, tmp_path)


def test_a_folder_without_data_has_no_current_version(tmp_path: Path) -> None:
    with pytest.raises(UnknownPriceVersion, match="no price data"):
        files.current_version(tmp_path)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    version = files.append(b"content", "a source", tmp_path)
    assert version is not None
    (tmp_path / f"{version}.json.gz").write_bytes(gzip.compress(b"another"))
    with pytest.raises(UnknownPriceVersion, match="are not those of that version"):
        files.read(version, tmp_path)
