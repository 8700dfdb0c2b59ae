"""Which paths this service serves, and in which family's manner any path is answered."""

from enum import StrEnum

from litestar.utils.path import normalize_path


class Family(StrEnum):
    """Whose clients call the path, and so which shape an error has."""

    OPENPIPE = "openpipe"
    PEZZO = "pezzo"
    LOG_ENTRIES = "log_entries"
    BATCHES = "batches"  # ours: whoever sends one knows no other API


def _openpipe(path: str) -> list[str]:
    return [f"/api/v1/{path}", f"/{path}"]


def _other(path: str) -> list[str]:
    return [f"/api/{path}", f"/{path}"]


REPORT = _openpipe("report")
REPORT_ANTHROPIC = _openpipe("report-anthropic")
CHECK_CACHE = _openpipe("check-cache")
PEZZO_REPORT = _other("reporting/v2/request")
PEZZO_RETRIEVE = _other("cache/v1/request/retrieve")
PEZZO_SAVE = _other("cache/v1/request/save")
LOG_INSERT = _other("logs/insert")
LOG_UPDATE = _other("logs/update")
BATCH = ["/api/v1/reports"]

_OPENPIPE_PATHS = (*REPORT, *REPORT_ANTHROPIC, *CHECK_CACHE)
_PEZZO_PATHS = (*PEZZO_REPORT, *PEZZO_RETRIEVE, *PEZZO_SAVE)
_LOG_ENTRY_PATHS = (*LOG_INSERT, *LOG_UPDATE)

PATHS = frozenset((*_OPENPIPE_PATHS, *_PEZZO_PATHS, *_LOG_ENTRY_PATHS, *BATCH))
"""The paths whose every method this service answers, if only to refuse it."""

ROUTES: list[tuple[str, str]] = [
    *(("POST", path) for path in (*_OPENPIPE_PATHS, *_PEZZO_PATHS, *_LOG_ENTRY_PATHS, *BATCH)),
    *(("HEAD", path) for path in _OPENPIPE_PATHS),
]
"""(method, path) of every endpoint, without trailing slash; OPTIONS is answered 204 on any path."""

_PEZZO_ROOTS = tuple(f"{prefix}/{root}/" for prefix in ("", "/api") for root in ("reporting", "cache", "prompts"))


def family_of(path: str) -> Family:
    """The family whose error shape a path gets, known or not."""
    closed = normalize_path(path) + "/"
    if closed.startswith(_PEZZO_ROOTS):
        return Family.PEZZO
    if closed.startswith("/api/logs/") or closed in {"/logs/insert/", "/logs/update/"}:
        return Family.LOG_ENTRIES
    if closed == "/api/v1/reports/":
        return Family.BATCHES
    return Family.OPENPIPE
