"""How the installation is, part by part: `GET /api/v1/admin/doctor`, for a key of all projects."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import Parameter, SkipValidation

from ledger.doctor import Finding, as_json
from ledger.doctor.machine import key_file_findings, version_findings
from ledger.doctor.store import store_findings
from ledger.filtering.reach import Reach
from ledger.store.clickhouse import ClickHousePool
from query_api.errors import NotAdmin
from query_api.openapi import ADMIN_ERRORS, SECURITY

LookAtBus = Callable[[], Awaitable[Sequence[Finding]]]


async def no_bus() -> Sequence[Finding]:
    """This process was not told where the bus is, so there is nothing to say about it."""
    return []


@dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at everything that this process can reach."""

    pool: ClickHousePool
    key_file: Path
    look_at_bus: LookAtBus

    async def findings(self, *, everything: bool) -> list[Finding]:
        """What every part says."""
        bus = await self.look_at_bus()
        store = await asyncio.to_thread(store_findings, self.pool, everything=everything)  # also while it is away
        return [*version_findings(), *key_file_findings(self.key_file), *bus, *store]


class Findings(msgspec.Struct, frozen=True):
    """What was looked at."""

    findings: list[dict[str, Any]]


class DoctorController(Controller):
    """`/api/v1/admin/doctor`."""

    path = "/api/v1/admin/doctor"

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
