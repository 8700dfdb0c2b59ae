"""A server that bounds what a user may set is asked within those bounds."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_where_the_server_has_a_smaller_bound_it_takes_the_place_of_ours(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.bounded_settings", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [["5", "7", "2000000000", "30", "throw"]] * 2
