"""What a delivery takes up in memory while it waits for its batch."""

from ledger.bus import Delivery


def size_of(delivery: Delivery) -> int:
    """The bytes that came with it."""
    headers = sum(len(name) + len(value) for name, value in delivery.headers)
    return len(delivery.key or b"") + len(delivery.envelope or b"") + len(delivery.body or b"") + headers
