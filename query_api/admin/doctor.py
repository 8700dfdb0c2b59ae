"""How the installation is, part by part: `GET /api/v1/admin/doctor`, for a key of all projects."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import Parameter, SkipValidation

from ledger.clock import Clock, system_clock
from ledger.doctor import Finding, as_json
from ledger.doctor.machine import key_file_findings, version_findings
from ledger.doctor.store import store_findings
from ledger.doctor.store_retention import PART, retention_check
from ledger.filtering.reach import Reach
from ledger.retention import Installation
from ledger.store.clickhouse import ClickHousePool
from query_api.admin.dead_letters.finding import waiting_dead_letters
from query_api.admin.turns import Busy, Turns, busy_answer
from query_api.errors import NotAdmin
from query_api.openapi import ADMIN_ERRORS, SECURITY

LookAtBus = Callable[[], Awaitable[Sequence[Finding]]]


async def no_bus() -> Sequence[Finding]:
    """This process was not told where the bus is, so there is nothing to say about it."""
    return []


@dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at everything that this process can reach, for one caller at a time."""

    pool: ClickHousePool
    key_file: Path
    look_at_bus: LookAtBus
    installation: Installation = field(default_factory=Installation)
    clock: Clock = system_clock
    turns: Turns = field(default_factory=Turns)

    async def findings(self, *, everything: bool) -> list[Finding]:
        """What every part says. Raises `Busy` while others keep it from looking."""
        return await self.turns.run(lambda: self._looked(everything))

    async def _looked(self, everything: bool) -> list[Finding]:
        bus = await self.look_at_bus()
        also = [("dead letters", waiting_dead_letters), (PART, retention_check(self.installation, self.clock))]
        store = await store_findings(  # also while it is away
            self.pool, everything=everything, also=also, installation=self.installation
        )
        return [*version_findings(), *key_file_findings(self.key_file), *bus, *store]


class Findings(msgspec.Struct, frozen=True):
    """What was looked at."""

    findings: list[dict[str, Any]]


class DoctorController(Controller):
    """`/api/v1/admin/doctor`."""

    path = "/api/v1/admin/doctor"
    exception_handlers = {Busy: busy_answer}  # noqa: RUF012 (the framework reads it from the class)

    @get(
        security=SECURITY,
        responses=dict(ADMIN_ERRORS),
        summary="How every part of the installation is, and what to do where something is wrong",
    )
    async def look(
        self,
        admin_reach: NamedDependency[SkipValidation[Reach]],
        doctor: NamedDependency[SkipValidation[Doctor]],
        deep: Annotated[bool, Parameter(description="Look at all rows, not only at those of the last days.")] = False,
    ) -> Findings:
        """One entry per part: `level` is ok, warning or problem; `do` says what helps."""
        if admin_reach.project is not None:
            raise NotAdmin("This is for a key of all projects: llmledger keys create --project '*' --scope admin")
        return Findings(as_json(await doctor.findings(everything=deep)))
