"""A record that went to every partition says in a header how many there were, so that each reader knows its share.

One without the header was broadcast to a bus of one partition.
"""

from ledger.bus import Delivery

PARTITIONS_HEADER = "llmledger-partitions"


def partitions_header(count: int) -> tuple[str, bytes]:
    """The header of a broadcast to so many partitions."""
    return PARTITIONS_HEADER, str(count).encode()


def partitions_of(delivery: Delivery) -> int:
    """To how many partitions the record was broadcast."""
    for name, value in delivery.headers:
        if name == PARTITIONS_HEADER and value.isascii() and value.isdigit() and 0 < len(value) <= 5:
            return max(1, int(value))
    return 1
