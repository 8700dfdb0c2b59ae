"""`GET /api/v1/requests/export`: translates, and puts an export together."""

import re
from datetime import datetime
from functools import partial

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from ledger.keys import KeyRing
from query_api.auth import Doorkeeper
from query_api.errors import AnyRequest
from query_api.export.asking import Asked, asked, start_of
from query_api.export.columns import bodies_among
from query_api.export.compressing import Gzipped, accepts_gzip
from query_api.export.forms import Form
from query_api.export.loading import Loader
from query_api.export.openapi import EXPORT_ERRORS, ExportOperation
from query_api.export.places import Places, TooManyExports, too_many_answer
from query_api.export.producing import ReachNow, produced
from query_api.export.sending import Download
from query_api.export.walking import Walk
from query_api.openapi import SECURITY
from query_api.parameters import given
from query_api.reach_again import reach_again
from query_api.reading import Reader
from query_api.retention_book import RetentionBook

_NOT_FOR_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def _reach_now(
    request: AnyRequest,
    reach: NamedDependency[SkipValidation[Reach]],
    keys: NamedDependency[SkipValidation[KeyRing]],
    retention_book: NamedDependency[SkipValidation[RetentionBook]],
) -> ReachNow:
    return partial(reach_again, Doorkeeper(keys, retention_book), request, reach)


class ExportController(Controller):
    """`/api/v1/requests/export`."""

    path = "/api/v1/requests/export"

    @get(
        operation_class=ExportOperation,
        security=SECURITY,
        responses=dict(EXPORT_ERRORS),
        dependencies={"reach_now": Provide(_reach_now, sync_to_thread=False)},
        exception_handlers={TooManyExports: too_many_answer},
        summary="All rows of a filter as CSV, NDJSON, Parquet or Arrow",
    )
    async def export(
        self,
        request: AnyRequest,
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        export_places: NamedDependency[SkipValidation[Places]],
        reach_now: NamedDependency[SkipValidation[ReachNow]],
        clock: NamedDependency[SkipValidation[Clock]],
    ) -> Download:
        """The calls that fulfil all conditions, newest first, as a file that is sent while it is made.

        A file that is broken off is seen as such by the HTTP client. Go on with `after_id`, the id of its last whole
        row, or with `cursor`; as many rows as `limit` says means that there may be more.
        """
        wanted = asked(given(request.scope["query_string"]), clock)
        now = clock()
        walk = Walk(
            wanted.conditions,
            reach,
            reader,
            clock,
            after=await start_of(wanted, reach, reader),
            left=wanted.limit,
        )
        loader = Loader(reader, bodies_among(wanted.names))
        packed = wanted.format.is_text and accepts_gzip(request.headers.get("accept-encoding", ""))
        form: Form = wanted.format.form(wanted.names)
        parts = produced(walk, loader, Gzipped(form) if packed else form, export_places, reach.project, reach_now)
        headers = _headers(wanted, reach, now) | ({"content-encoding": "gzip"} if packed else {})
        return Download(parts, request.app.state.stopping, headers, wanted.format.media_type)


def _headers(wanted: Asked, reach: Reach, now: datetime) -> dict[str, str]:
    project = _NOT_FOR_A_NAME.sub("-", reach.project or "all-projects")
    name = f"llmledger-{project}-{now:%Y%m%dT%H%M%SZ}.{wanted.format.extension}"
    return {
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
        "vary": "Accept-Encoding",
        "x-content-type-options": "nosniff",
    }
