"""What a driver's exception becomes: it is sorted by what to do about it, by the engine's code, never by the status."""

from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, OperationalError, StreamFailureError

from ledger.errors import LedgerError
from ledger.store import DataRefused, StoreBroken, StoreOverstrained, StoreUnavailable

TRANSIENT = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 279, 319, 425, 999})
"""Codes that waiting cures: time-outs, network, memory, read-only, too many parts, connections, keeper."""

OVERSTRAINED = frozenset({159, 241})
"""Those of them that a smaller statement may not meet: time and memory."""

DATA = frozenset({6, 27, 33, 38, 41, 53, 69, 70, 117, 131, 349})
"""Codes of values that cannot be read or do not fit; the same rows fail again."""

_TOO_SCATTERED = "partitions for single INSERT block"
"""Tells, of code 252, the insert that is at fault from the table that has too many parts (whatever the partition)."""


def sorted_by_remedy(error: ClickHouseError) -> LedgerError:
    """What to do about a failure, by the engine's error code and never by the HTTP status."""
    code = getattr(error, "code", None)
    if isinstance(error, DataError) or code in DATA or (code == 252 and _TOO_SCATTERED in str(error)):
        return DataRefused(f"The store refused the rows (code {code}).")
    if code in TRANSIENT or (code is None and isinstance(error, OperationalError | StreamFailureError)):
        kind = StoreOverstrained if code in OVERSTRAINED else StoreUnavailable
        return kind(f"The store did not take the statement (code {code}): {type(error).__name__}.")
    return StoreBroken(f"The store answered code {code}: {str(error)[:300]}")
