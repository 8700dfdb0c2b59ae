"""What a killed process has left in run.json is gone as soon as another has the folder, and before it does anything.

Else a command that finds the folder in use would send the killed one's token to whoever listens at its address now.
"""

from pathlib import Path

import pytest

from deploy.data_folder import DataFolder
from deploy.query_in_process import over_folder
from deploy.standalone import StandaloneOptions, run_standalone
from ledger.settings import BatchSection, QueryCaps


class Reached(Exception):
    """The folder is about to be prepared."""


class WatchedFolder(DataFolder):
    """A folder that goes no further than being taken."""

    def prepare(self) -> None:
        """Says whether something is announced there."""
        raise Reached(str(self.run_file.exists()))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = WatchedFolder(tmp_path)
    folder.announce("http://127.0.0.1:1", "the token of a killed process")
    return folder


def test_a_command_over_the_folder_withdraws_it(folder: DataFolder) -> None:
    with pytest.raises(Reached, match="False"), over_folder(folder, {}):
        pass


async def test_a_start_withdraws_it(folder: DataFolder) -> None:
    options = StandaloneOptions(folder, "127.0.0.1", 0, True, BatchSection(), QueryCaps())
    with pytest.raises(Reached, match="False"):
        await run_standalone(options, lambda _: None)
