"""`/api/v1/admin/retention`: how long calls are kept, per project and by default."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, Parameter, SkipValidation

from ledger.clock import Clock, to_milliseconds
from ledger.filtering.reach import Reach
from ledger.filtering.retained import Retained
from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId
from ledger.keys import KeyRing, Principal
from ledger.retention import DEFAULT, LONGEST_DAYS, SHORTEST_DAYS, Policy
from ledger.store.clickhouse import ClickHousePool
from ledger.store.retention import latest_run
from ledger.store.retention_room import bytes_of_tables
from query_api.admin.reaching import narrowed
from query_api.admin.retention.showing import DiskCap, LastRun, Retention, RetentionSet, instant, kept, last_run
from query_api.errors import BadParameter
from query_api.openapi import ADMIN_ERRORS, SECURITY
from query_api.reading import Reader
from query_api.retention_book import RetentionBook

Days = Annotated[int, msgspec.Meta(ge=SHORTEST_DAYS, le=LONGEST_DAYS)]


class RetentionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long calls are to be kept."""

    days: Days | Literal["default"] | None  # null: for ever; default: what counts for projects without their own
    project: str | None = None  # for a key of all projects; without one, or '*': the default itself
    dry_run: bool = False  # set nothing: count the calls that would go


class RetentionController(Controller):
    """`/api/v1/admin/retention`."""

    path = "/api/v1/admin/retention"

    @get(security=SECURITY, responses=dict(ADMIN_ERRORS), summary="How long calls are kept")
    async def show(
        self,
        admin_reach: NamedDependency[SkipValidation[Reach]],
        retention_book: NamedDependency[SkipValidation[RetentionBook]],
        pool: NamedDependency[SkipValidation[ClickHousePool]],
        clock: NamedDependency[SkipValidation[Clock]],
        project: Annotated[str | None, Parameter(description="With a key of all projects: this one alone.")] = None,
    ) -> Retention:
        """The default, and every project with a policy of its own; of one project, that one."""
        reach = narrowed(admin_reach, project)
        await retention_book.refresh()
        policies, now = retention_book.policies(), to_milliseconds(clock())
        own = [policy.project for policy in policies.set_ones if policy.project != DEFAULT]
        cap, run = (None, None) if admin_reach.project else await _of_all(retention_book, pool)
        return Retention(
            kept(DEFAULT, policies, now),
            [kept(name, policies, now) for name in ([reach.project] if reach.project else own)],
            instant(policies.cut_before),
            cap,
            run,
        )

    @put(security=SECURITY, responses=dict(ADMIN_ERRORS), summary="Say how long calls are kept")
    async def set(
        self,
        data: JSONBody[RetentionBody],
        caller: NamedDependency[SkipValidation[Principal]],
        admin_reach: NamedDependency[SkipValidation[Reach]],
        retention_book: NamedDependency[SkipValidation[RetentionBook]],
        reader: NamedDependency[SkipValidation[Reader]],
        keys: NamedDependency[SkipValidation[KeyRing]],
        clock: NamedDependency[SkipValidation[Clock]],
    ) -> RetentionSet:
        """In force on return: older calls are shown no more, here at once and elsewhere within seconds.

        They are deleted by the next nightly run; until then a longer time brings them back.
        """
        project = _whose(data, admin_reach, keys)
        await retention_book.refresh()
        now, before = to_milliseconds(clock()), retention_book.policies()
        policy = _policy(data, project, max([now, *(of.set_at + 1 for of in before.set_ones)]), caller)
        after = before.changed(project, policy if data.days != "default" else None)
        calls = None
        if data.dry_run:
            reach = Reach(None if project == DEFAULT else project, before.retained(now))
            calls = await reader.count(_going(reach, after.retained(now)))
        else:
            await retention_book.set(policy, is_set=data.days != "default")
            after = retention_book.policies()
        found = kept(project, after, now)
        return RetentionSet(project, found.days, found.earliest, data.dry_run, calls)


async def _of_all(book: RetentionBook, pool: ClickHousePool) -> tuple[DiskCap | None, LastRun | None]:
    run = await pool.run(latest_run)
    most = book.installation.max_bytes
    cap = None if most is None else DiskCap(most, await pool.run(bytes_of_tables))
    return cap, last_run(run) if run else None


def _whose(data: RetentionBody, reach: Reach, keys: KeyRing) -> ProjectId:
    """Whose calls are meant. Raises `NotAdmin`, `BadParameter`."""
    if reach.project is None and data.project in (None, DEFAULT):
        return DEFAULT
    project = narrowed(reach, data.project).project
    if project is None or not keys.knows_project(project):
        raise BadParameter("project", "there is no project of that name")
    return project


def _policy(data: RetentionBody, project: ProjectId, at: int, caller: Principal) -> Policy:
    return Policy(project, data.days if isinstance(data.days, int) else None, at, caller.key_id)


def _going(reach: Reach, after: Retained) -> Statement:
    """How many calls are shown now and would not be any more."""
    bound = Bound()
    still = Reach(reach.project, after).kept(bound)
    return bound.statement(
        f"SELECT count() FROM request_logs FINAL WHERE {reach.clause(bound)} AND is_deleted = 0 AND NOT ({still})"
    )
