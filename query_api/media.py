"""Stored media, for those who may read a log that names them.

Images are shown as what their bytes are. Anything else is handed out as a file to save, never as a page: it is the
caller's own data and is kept nowhere else, but a browser must not run it. Either way the answer is sandboxed.
"""

import re

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation

from ledger.blobs import BlobStore
from ledger.errors import NotFound
from ledger.filtering.reach import Reach
from ledger.filtering.statements import Bound, Statement
from ledger.ids import ProjectId
from query_api.errors import AnyRequest
from query_api.images import image_type
from query_api.openapi import NOT_FOUND, READ_ERRORS, SECURITY, UNCHANGED, PathOperation
from query_api.reading import Reader

CACHE_SECONDS = 365 * 24 * 3600

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class MediaController(Controller):
    """`/api/v1/media/{sha256}`."""

    path = "/api/v1/media"

    @get(
        "/{sha256:str}",
        operation_class=PathOperation,
        security=SECURITY,
        responses={**READ_ERRORS, **NOT_FOUND, **UNCHANGED},
        response_description="An image under its own media type; anything else as a file to save.",
        summary="Stored content of a media item",
        media_type="application/octet-stream",
    )
    async def content(
        self,
        request: AnyRequest,
        sha256: FromPath[str],
        reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        blobs: NamedDependency[SkipValidation[BlobStore]],
    ) -> Response[bytes]:
        """The bytes whose SHA-256 this is. 404 unless a log that the key may read names them."""
        if not _SHA256.fullmatch(sha256):
            raise NotFound
        project = await _owner(sha256, reach, reader)
        etag = f'"{sha256}"'
        if etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=_cache_headers(etag))
        data = await blobs.get(project, sha256)
        if data is None:
            raise NotFound
        return _shown(data, sha256, etag)


async def _owner(sha256: str, reach: Reach, reader: Reader) -> ProjectId:
    found = await reader.rows(naming(sha256, reach))
    if not found:
        raise NotFound
    return ProjectId(found[0][0])


def naming(sha256: str, reach: Reach) -> Statement:
    """A project within reach whose logs name this content."""
    bound = Bound()
    return bound.statement(
        f"SELECT project FROM request_logs FINAL WHERE {reach.clause(bound)} AND is_deleted = 0"
        f" AND has(media_hashes, {bound.value(sha256, 'String')}) LIMIT 1"
    )


def _shown(data: bytes, sha256: str, etag: str) -> Response[bytes]:
    kind = image_type(data)
    headers = {
        **_cache_headers(etag),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline" if kind else f'attachment; filename="{sha256}.bin"',
    }
    return Response(data, media_type=kind or "application/octet-stream", headers=headers)


def _cache_headers(etag: str) -> dict[str, str]:
    """The content of a hash never changes; but it is for this key alone."""
    return {
        "ETag": etag,
        "Cache-Control": f"private, max-age={CACHE_SECONDS}, immutable",
        "Vary": "Authorization, X-Api-Key",
    }
