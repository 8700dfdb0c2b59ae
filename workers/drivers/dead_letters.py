"""Where dead letters are kept: a topic beside the bus in the cluster, a table in the standalone mode."""

from collections.abc import Sequence

from clickhouse_connect.driver import Client

from ledger.bus import Publisher, Record
from ledger.clock import Clock, to_milliseconds
from ledger.store.clickhouse import ClickHousePool, insert
from ledger.store.columns import LABEL, TIME, Column
from workers.decoding import Rejected
from workers.quarantining import dead_letter_header, headers_text

DEAD_LETTER_HEADER = "llmledger-dead-letter"


class TopicQuarantine:
    """Publishes each dead letter with its original key, envelope, headers and bytes; the reason is one more header."""

    def __init__(self, publisher: Publisher, code_version: str) -> None:
        self._publisher = publisher
        self._code_version = code_version

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Durable on return. Raises `BusUnavailable`."""
        for item in rejected:
            delivery = item.delivery
            reason = (DEAD_LETTER_HEADER, dead_letter_header(item, self._code_version))
            headers = (*delivery.headers, reason)
            record = Record(delivery.key or b"", delivery.envelope or b"", delivery.body or b"", headers)
            await self._publisher.publish(record)


class TableQuarantine:
    """Writes each dead letter into the store's table `dead_letters`."""

    def __init__(self, pool: ClickHousePool, clock: Clock, code_version: str) -> None:
        self._pool = pool
        self._clock = clock
        self._columns = dead_letter_columns(code_version)

    async def put(self, rejected: Sequence[Rejected]) -> None:
        """Durable on return. Raises `StoreUnavailable`, `StoreBroken`."""
        at = to_milliseconds(self._clock())
        items = [(item, at) for item in rejected]
        first, last = rejected[0].delivery.position, rejected[-1].delivery.position
        token = f"dead-{first}-{last}-{len(items)}"

        def write(client: Client) -> None:
            insert(client, "dead_letters", self._columns, items, token)

        await self._pool.run(write)


def dead_letter_columns(code_version: str) -> tuple[Column, ...]:
    """The table's columns, of pairs of a rejected delivery and a time in milliseconds."""
    return (
        Column("generation", "UInt8", lambda pair: pair[0].delivery.position.generation),
        Column("partition", "UInt16", lambda pair: pair[0].delivery.position.partition),
        Column("offset", "UInt64", lambda pair: pair[0].delivery.position.offset),
        Column("key", "Nullable(String)", lambda pair: pair[0].delivery.key),
        Column("envelope", "Nullable(String)", lambda pair: pair[0].delivery.envelope),
        Column("body", "Nullable(String)", lambda pair: pair[0].delivery.body),
        Column("headers", "String", lambda pair: headers_text(pair[0])),
        Column("reason", LABEL, lambda pair: pair[0].code.value),
        Column("detail", "String", lambda pair: pair[0].detail),
        Column("code_version", LABEL, lambda _: code_version),
        Column("dead_at", TIME, lambda pair: pair[1]),
    )
