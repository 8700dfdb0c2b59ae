"""`/api/v1/admin/dead-letters`: translates requests; what is asked is a statement, what is done is a `Replayer`."""

from typing import Annotated, Any, cast

from litestar import Controller, MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation

from ledger.clock import Clock
from ledger.errors import NotFound
from ledger.filtering.reach import Reach
from ledger.store.clickhouse import ClickHousePool
from query_api.admin.bus import Bus
from query_api.admin.dead_letters import reading, statements
from query_api.admin.dead_letters.choosing import (
    MAX_LIMIT,
    Conditions,
    chosen,
    decode_cursor,
    encode_cursor,
    limit_of,
    position_of,
)
from query_api.admin.dead_letters.replaying import Pace, Replayer
from query_api.admin.dead_letters.schemas import (
    DeadLetterCounts,
    DeadLetterPage,
    ReasonCount,
    ReplayResult,
    WholeDeadLetter,
)
from query_api.admin.reaching import narrowed
from query_api.admin.turns import Busy, Turns, busy_answer
from query_api.errors import BadParameter
from query_api.openapi import ADMIN_ERRORS, NOT_FOUND, SECURITY
from query_api.reading import Reader

LONGEST_REPLAY_SECONDS = 120.0
MAX_REPLAYS = 1000

AnyText = Annotated[str | None, QueryParameter(description="Exactly; not given or empty: any.")]


class ReplayRequest(Conditions, frozen=True, forbid_unknown_fields=True):
    """Which ones to replay: a position, or conditions that all must hold, or all that wait."""

    position: str | None = None
    limit: int = 100
    dry_run: bool = False
    max_replays: int = 5
    rate_per_second: float | None = None


class DeadLetterController(Controller):
    """What could not become a row."""

    path = "/api/v1/admin/dead-letters"
    exception_handlers = {Busy: busy_answer}  # noqa: RUF012 (the framework reads it from the class)

    @get(security=SECURITY, responses=dict(ADMIN_ERRORS), summary="List dead letters, the latest first")
    async def listing(  # noqa: PLR0913 (they are query parameters)
        self,
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        project: AnyText = None,
        reason: AnyText = None,
        kind: AnyText = None,
        record_id: AnyText = None,
        since: Annotated[
            str | None, QueryParameter(name="from", description="The first instant, ISO 8601 or now-1h.")
        ] = None,
        before: Annotated[str | None, QueryParameter(name="to", description="The first instant outside.")] = None,
        in_state: Annotated[str | None, QueryParameter(name="state", description="waiting or replayed.")] = None,
        limit: Annotated[int, QueryParameter(description=f"At most {MAX_LIMIT}.")] = 100,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
    ) -> DeadLetterPage:
        """Those of the key's project; with a key of all projects, of all or of the one that is named."""
        choice = chosen(Conditions(project, reason, kind, record_id, since, before), clock, in_state)
        after = decode_cursor(cursor) if cursor else None
        reach = narrowed(admin_reach, choice.project)
        found = await reading.summaries(reader, statements.page(choice, reach, after, limit_of(limit) + 1))
        shown = found[:limit]
        following = encode_cursor(shown[-1].place) if len(found) > limit else None
        return DeadLetterPage([item.shown() for item in shown], following)

    @get("/counts", security=SECURITY, responses=dict(ADMIN_ERRORS), summary="How many, by project and reason")
    async def counts(
        self,
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        clock: NamedDependency[SkipValidation[Clock]],
        project: AnyText = None,
    ) -> DeadLetterCounts:
        """Waiting and replayed ones apart."""
        choice = chosen(Conditions(project), clock)
        rows = await reader.rows(statements.counts(choice, narrowed(admin_reach, choice.project)))
        return DeadLetterCounts(
            [
                ReasonCount(whose or None, reason, waiting, replayed, *map(reading.time_shown, (first, last)))
                for whose, reason, waiting, replayed, first, last in rows
            ]
        )

    @get("/{position:str}", security=SECURITY, responses={**ADMIN_ERRORS, **NOT_FOUND}, summary="One dead letter")
    async def single(
        self,
        position: FromPath[str],
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        turns: NamedDependency[SkipValidation[Turns]],
    ) -> Response[WholeDeadLetter]:
        """All that is kept of it: bytes as text where they are UTF-8, else in base64; one is read at a time."""
        place = position_of(position)
        found = await turns.run(lambda: reading.whole(reader, place, admin_reach))
        if found is None:
            raise NotFound
        return Response(cast(Any, found), media_type=MediaType.JSON)  # encoded already

    @post(
        "/replay", status_code=200, security=SECURITY, responses=dict(ADMIN_ERRORS), summary="Put them on the bus again"
    )
    async def replay(
        self,
        data: JSONBody[ReplayRequest],
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        pool: NamedDependency[SkipValidation[ClickHousePool]],
        bus: NamedDependency[SkipValidation[Bus]],
        clock: NamedDependency[SkipValidation[Clock]],
        turns: NamedDependency[SkipValidation[Turns]],
    ) -> ReplayResult:
        """Those that wait, in the order of their acceptance, up to the limit. It is safe to do it again."""
        choice, pace = chosen(data, clock, position=data.position), _pace(data)
        reach = narrowed(admin_reach, choice.project)
        publisher = None if data.dry_run else bus.require()
        return await Replayer(reader, pool, publisher, clock, turns).replay(choice, reach, pace)


def _pace(request: ReplayRequest) -> Pace:
    rate = request.rate_per_second
    if rate is not None and not rate > 0:
        raise BadParameter("rate_per_second", "must be above 0")
    if rate is not None and request.limit / rate > LONGEST_REPLAY_SECONDS:
        raise BadParameter(
            "limit", f"takes longer than {LONGEST_REPLAY_SECONDS:g} s at that rate: ask for fewer at once"
        )
    if not 1 <= request.max_replays <= MAX_REPLAYS:
        raise BadParameter("max_replays", f"must be a whole number from 1 to {MAX_REPLAYS}")
    return Pace(limit_of(request.limit), request.max_replays, rate, request.dry_run)
