"""Whether the service runs, whether it can answer, and which version it is. No key is needed."""

import asyncio
from dataclasses import dataclass
from importlib.metadata import version

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from ledger.errors import LedgerError
from ledger.keys import KeyRing
from query_api.reading import Reader
from query_api.schemas import Liveness, Readiness, Version


@dataclass(frozen=True, slots=True)
class Checks:
    """What this service cannot do without: the store and the key file."""

    reader: Reader
    keys: KeyRing
    store_seconds: float

    async def results(self) -> dict[str, str]:
        """`ok` or what is wrong, for each of them."""
        return {"store": await self._store(), "keys": self._keys()}

    async def _store(self) -> str:
        try:
            await asyncio.wait_for(self.reader.ping(), self.store_seconds)
        except TimeoutError:
            return f"no answer within {self.store_seconds} s"
        except LedgerError as error:
            return type(error).__name__
        return "ok"

    def _keys(self) -> str:
        try:
            self.keys.find("")
        except LedgerError as error:
            return type(error).__name__
        return "ok"


class HealthController(Controller):
    """`/health/…` and `/version`."""

    @get("/health/live", summary="The service runs")
    async def live(self) -> Liveness:
        """Answers as long as the event loop turns."""
        return Liveness("ok")

    @get("/health/ready", summary="The service can answer")
    async def ready(self, checks: NamedDependency[SkipValidation[Checks]]) -> Response[Readiness]:
        """503 as long as something is missing that this service cannot do without."""
        results = await checks.results()
        well = all(result == "ok" for result in results.values())
        return Response(Readiness("ok" if well else "unavailable", results), status_code=200 if well else 503)

    @get("/version", summary="What runs here")
    async def version(self) -> Version:
        """The version of the program."""
        return Version("query-api", version("llmledger"))
