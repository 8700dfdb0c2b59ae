"""The success bodies, exactly as each family's clients expect them, and the error bodies as they are documented."""

from typing import Any, Literal

import msgspec

from ledger.dialects.pezzo import Calculated


class ReportAccepted(msgspec.Struct, frozen=True):
    """The report is durable."""

    status: Literal["ok"] = "ok"


class NoCachedReply(msgspec.Struct, frozen=True):
    """There is no reply cache."""

    respPayload: None = None


class PezzoAccepted(msgspec.Struct, frozen=True):
    """The report is durable."""

    reportId: str
    calculated: Calculated


class PezzoCacheMiss(msgspec.Struct, frozen=True):
    """There is no reply cache."""

    hit: Literal[False] = False
    data: None = None


class PezzoCacheSaved(msgspec.Struct, frozen=True):
    """Nothing was kept; this is what the client wants to hear."""

    hash: str
    exp: str


class LogEntryAccepted(msgspec.Struct, frozen=True):
    """The entry, or its update, is durable."""

    id: str
    success: Literal[True] = True


class OpenPipeError(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error in the manner of OpenPipe."""

    message: str
    code: str
    issues: list[dict[str, Any]] | None = None


class PezzoError(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error in the manner of Pezzo."""

    statusCode: int
    message: str | list[str]
    error: str | None = None


class LogEntryError(msgspec.Struct, frozen=True):
    """An error in the manner of log entries."""

    error: str
