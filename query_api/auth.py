"""API key → reach: which projects the request may read, and from when on. The key goes no further than this file."""

from ledger.errors import MissingKey, MissingScope, UnknownKey
from ledger.filtering.reach import Reach
from ledger.ids import ProjectId
from ledger.keys import ALL_PROJECTS, KeyRing, Principal, Scope
from query_api.errors import AnyConnection, AnyRequest, NotAdmin
from query_api.retention_book import RetentionBook

_PREFIX = "bearer "


class Doorkeeper:
    """Reads the key of `Authorization` (with or without `Bearer `), else of `x-api-key`."""

    def __init__(self, keys: KeyRing, book: RetentionBook) -> None:
        self._keys = keys
        self._book = book

    def caller(self, request: AnyConnection) -> Principal:
        """Whose key the request carries, whatever it may do. Raises `Refused`."""
        text = _key_of(request)
        if not text:
            raise MissingKey
        principal = self._keys.find(text)
        if principal is None:
            raise UnknownKey
        return principal

    async def reach_now(self, request: AnyRequest) -> Reach:
        """What this request may read, of what is kept by now. Raises `Refused`.

        Before that is known, asking the reach what it means raises `Unavailable`: a request that is wrong is told so.
        """
        self._reader_of(request)
        await self._book.look()
        return self.reach(request)

    def reach(self, request: AnyRequest) -> Reach:
        """The same with what was last known to be kept."""
        return Reach(_project_of(self._reader_of(request)), self._book.retained())

    def _reader_of(self, request: AnyRequest) -> Principal:
        principal = self.caller(request)
        if not may_read(principal):
            raise MissingScope
        return principal

    def visitor(self, request: AnyRequest) -> Principal:
        """Whose key it is, if anything here can be asked with it. Raises `Refused`."""
        principal = self.caller(request)
        if not (may_read(principal) or principal.may(Scope.ADMIN)):
            raise MissingScope
        return principal

    def admin_reach(self, request: AnyConnection) -> Reach:
        """What this request may act on: the key's own project, all for a key of all projects. Raises `Refused`.

        Everything that is stored: a deletion takes what is hidden for its age as well.
        """
        principal = self.caller(request)
        if not principal.may(Scope.ADMIN):
            raise NotAdmin
        return Reach(_project_of(principal))


def _project_of(principal: Principal) -> ProjectId | None:
    return None if principal.project == ALL_PROJECTS else principal.project


def may_read(principal: Principal) -> bool:
    """Reading needs the scope `query`; a key of all projects can only read, so `admin` does as well there."""
    reads_all = principal.project == ALL_PROJECTS and principal.may(Scope.ADMIN)
    return reads_all or principal.may(Scope.QUERY)


def _key_of(request: AnyConnection) -> str:
    for name in ("authorization", "x-api-key"):
        text = request.headers.get(name, "").strip()
        if text.lower() + " " == _PREFIX:
            continue
        if text.lower().startswith(_PREFIX):
            text = text[len(_PREFIX) :].strip()
        if text:
            return text
    return ""
