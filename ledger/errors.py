"""What can go wrong, sorted by what to do about it.

LedgerError
├── Invalid (TooLarge, TooDeep, UnsupportedEncoding, …)    the sender must change the request    → 400, 413, 415
├── Refused (MissingKey, UnknownKey, MissingScope)         the sender may not do this            → 401
├── NotFound                                               there is no such thing for this sender → 404
├── Unavailable (BusUnavailable, BodyNotKept, …)           try again later, nothing was lost      → 503 + Retry-After
├── BusBroken                                              the disk failed, not only for now       → the process stops
└── Misconfigured                                          an operator must change the settings   → the process stops
"""


class LedgerError(Exception):
    """Something that LLM Ledger knows how to name. The docstring is the default message."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class Invalid(LedgerError):
    """The request cannot be understood."""


class TooLarge(Invalid):
    """The body is too large."""


class TooLargeForBus(TooLarge):
    """The record is larger than the bus takes."""


class TooDeep(Invalid):
    """The JSON is nested too deeply."""


class UnsupportedEncoding(Invalid):
    """The content encoding is not supported: use gzip, zstd or none."""


class UnknownVersion(Invalid):
    """The record has a version that this program does not know."""


class Refused(LedgerError):
    """The sender may not do this."""


class MissingKey(Refused):
    """The request carries no API key."""


class UnknownKey(Refused):
    """The API key is not known."""


class MissingScope(Refused):
    """The API key does not have the scope that this needs."""


class NotFound(LedgerError):
    """Not found."""


class Unavailable(LedgerError):
    """Not available at the moment; try again."""


class BusUnavailable(Unavailable):
    """Not confirmed, retry."""


class BodyNotKept(BusUnavailable):
    """Not handed over, retry.

    The bus was not asked: its record's body, which is too large for it, was not taken by the blob store.
    """


class BusBroken(LedgerError):
    """The log's file can no longer be trusted: nothing more is written to it, and the process ends."""


class StoreUnavailable(Unavailable):
    """The store cannot be reached at the moment."""


class Misconfigured(LedgerError):
    """The settings are wrong."""
