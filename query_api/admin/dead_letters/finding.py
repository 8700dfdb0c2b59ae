"""What the doctor says of dead letters: those that wait, counted as the list counts them."""

from collections import Counter
from collections.abc import Iterator

from clickhouse_connect.driver import Client

from ledger.doctor import Finding, ok, warning
from ledger.doctor.store_looks import rows
from ledger.filtering.reach import Reach
from query_api.admin.dead_letters import statements
from query_api.admin.dead_letters.choosing import Choice, State


def waiting_dead_letters(client: Client) -> Iterator[Finding]:
    """A check of the store. What was replayed and has not died again is done with."""
    waiting: Counter[str] = Counter()
    for _, reason, count, *_ in rows(client, statements.counts(Choice(state=State.WAITING), Reach(None))):
        waiting[reason] += count
    if waiting:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(waiting.items()))
        yield warning("dead letters", f"{counts} wait.", "Look: llmledger dlq list. After a fix: llmledger dlq replay.")
    else:
        yield ok("dead letters", "None waits.")
