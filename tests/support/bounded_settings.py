"""`python -m tests.support.bounded_settings FOLDER`: an engine whose user may not set any value, asked a question.

A process of its own, because a process has one engine. Writes the limits that held, twice asked, as JSON.
"""

import json
import sys
from contextlib import closing
from pathlib import Path

from ledger.filtering.statements import Statement
from ledger.store.clickhouse import open_client
from ledger.store.questions import Question

CONFIG = """<clickhouse>
    <users_config>{folder}/users.xml</users_config>
</clickhouse>
"""
USERS = """<clickhouse>
    <profiles><default><constraints>
        <max_execution_time><max>5</max></max_execution_time>
        <max_result_rows><max>1000</max></max_result_rows>
        <max_memory_usage><max>1000000000000</max></max_memory_usage>
        <max_rows_to_sort><min>1</min></max_rows_to_sort>
    </constraints></default></profiles>
    <users><default>
        <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    </default></users>
    <quotas><default></default></quotas>
</clickhouse>
"""
ASKED = {
    "max_execution_time": 20.0,
    "max_result_rows": 7,
    "max_memory_usage": 2_000_000_000,
    "max_rows_to_sort": 30,
    "result_overflow_mode": "throw",
}


def main(folder: Path) -> None:
    """Ask for the limits that hold while the question is answered."""
    (folder / "config.xml").write_text(CONFIG.format(folder=folder))
    (folder / "users.xml").write_text(USERS)
    names = ", ".join(f"toString(getSetting('{name}'))" for name in ASKED)
    with closing(open_client(f"chdb://{folder / 'data'}", engine_config=folder / "config.xml")) as client:
        answers = [Question(Statement(f"SELECT {names}", {}), ASKED)(client).rows[0] for _ in range(2)]
    sys.stdout.write(json.dumps([list(answer) for answer in answers]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
