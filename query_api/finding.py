"""An id as a caller writes it → where its row is.

A plain id carries its row's time; where a keyed id's row is, the first stored use of its key says.
"""

from ledger.filtering.comparing import number_of_id
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import RecordId, created_at_ms_of, from_int, to_int
from ledger.instants import LATEST_STORED_MS
from ledger.request_log import RowKey
from query_api.reading import KEY_LIST, Reader


async def find(text: str, reach: Reach, reader: Reader) -> RowKey | None:
    """The key of the row with this id within reach; None for an unknown, foreign or malformed one."""
    number = number_of_id(text)
    if number is None:
        return None
    id_ = from_int(number)
    created_at = created_at_ms_of(id_)
    if created_at is None:
        statement = keyed(id_, reach)
    elif created_at <= LATEST_STORED_MS:
        statement = plain(id_, created_at, reach)
    else:
        return None
    found = await reader.keys(statement)
    return found[0] if found else None


def plain(id_: RecordId, created_at: int, reach: Reach) -> Statement:
    """The row of an id that carries its time."""
    bound = Bound()
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_logs FINAL WHERE {reach.clause(bound)} AND is_deleted = 0"
        f" AND created_at = {bound.time(created_at)}"
        f" AND id = {bound.value(to_int(id_), 'UInt128')} LIMIT 1"
    )


def keyed(id_: RecordId, reach: Reach) -> Statement:
    """The first use of the key that an id was derived from."""
    bound = Bound()
    return bound.statement(
        f"SELECT {KEY_LIST} FROM request_keys FINAL WHERE {reach.clause(bound)}"
        f" AND id = {bound.value(to_int(id_), 'UInt128')} ORDER BY generation, partition, offset LIMIT 1"
    )
