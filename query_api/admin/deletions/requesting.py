"""`POST /api/v1/admin/delete`: the event that deletes a record, a user's records or a filter's, or a count of them."""

from typing import Any

import msgspec
from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from ledger.bus import Position
from ledger.clock import Clock, to_milliseconds
from ledger.deletion import Scope, check_what, record_deletion, scope_deletion
from ledger.errors import NotFound
from ledger.filtering.reach import Reach
from ledger.ids import EventId, RecordId, belongs, keyed_id, plain_id
from ledger.keys import KeyRing
from query_api.admin.bus import Bus
from query_api.admin.deletions.counting import Asked, dead_letters_of, records_of
from query_api.admin.reaching import narrowed
from query_api.errors import AnyRequest, BadParameter
from query_api.openapi import ADMIN_ERRORS, LIST_ERRORS, NOT_FOUND, SECURITY
from query_api.reading import Reader

MAX_KEY_CHARACTERS = 255


class DeleteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to delete: exactly one of `id`, `user_id` and `filter`."""

    id: str | None = None
    user_id: str | None = None
    filter: dict[str, Any] | None = None  # as the list's parameter `filter`, as JSON
    project: str | None = None  # for a key of all projects
    dry_run: bool = False  # delete nothing: count what is stored now
    idempotency_key: str | None = None  # as the header `Idempotency-Key`


class DeletionAccepted(msgspec.Struct, frozen=True):
    """The deletion is on the bus. It is applied once every one of the positions is settled."""

    deletion: str
    project: str
    positions: list[str]


class DeletionCounted(msgspec.Struct, frozen=True):
    """What a deletion would take if it came now."""

    project: str
    matching: int
    dead_letters: int | None  # null: there are too many to look at all of them


class DeleteController(Controller):
    """`/api/v1/admin/delete`."""

    path = "/api/v1/admin/delete"

    @post(
        status_code=202,
        security=SECURITY,
        responses={**ADMIN_ERRORS, **NOT_FOUND, 400: LIST_ERRORS[400]},
        summary="Delete a record, a user's records, or a filter's, for good",
    )
    async def delete(
        self,
        request: AnyRequest,
        data: JSONBody[DeleteBody],
        admin_reach: NamedDependency[SkipValidation[Reach]],
        reader: NamedDependency[SkipValidation[Reader]],
        bus: NamedDependency[SkipValidation[Bus]],
        keys: NamedDependency[SkipValidation[KeyRing]],
        clock: NamedDependency[SkipValidation[Clock]],
    ) -> Response[DeletionAccepted | DeletionCounted]:
        """202: durable on the bus. By user or filter it takes what was accepted before it; by id it is final.

        A retry under the same `Idempotency-Key` is the same deletion, applied again at its own place: it takes what was
        accepted meanwhile too. Another body under that key is another deletion. With `dry_run` it is a 200 and a count.
        """
        asked = asked_for(data, admin_reach, keys)
        if data.dry_run:
            matching, dead_letters = await records_of(asked, reader), await dead_letters_of(asked, reader)
            return Response(DeletionCounted(asked.project, matching, dead_letters), status_code=200)
        idempotency_key = _idempotency_key(request, data)
        now = to_milliseconds(clock())
        event_id = deletion_id(asked, idempotency_key, now, keys.id_secret(asked.project))
        positions = [at.text for at in await _published(asked, event_id, now, idempotency_key, bus)]
        return Response(
            DeletionAccepted(event_id, asked.project, positions),
            status_code=202,
            headers={"LLMLedger-Position": ", ".join(positions)},
        )


def asked_for(data: DeleteBody, reach: Reach, keys: KeyRing) -> Asked:
    """What a body asks for. Raises `Invalid`, `NotAdmin`, and `NotFound` for an id that is not the project's."""
    named = [name for name in ("id", "user_id", "filter") if getattr(data, name) is not None]
    if len(named) != 1:
        raise BadParameter("id, user_id, filter", "give exactly one of them")
    project = narrowed(reach, data.project).project
    if project is None:
        raise BadParameter("project", "a key of all projects has to say whose records are meant")
    if not keys.knows_project(project):
        raise BadParameter("project", "there is no project of that name")
    if data.id is not None:
        record_id = belongs(data.id, keys.id_secret(project))
        if record_id is None:
            raise NotFound
        return Asked(project, Scope.ID, record_id)
    if data.user_id is not None:
        asked = Asked(project, Scope.USER, data.user_id)
    else:
        asked = Asked(project, Scope.FILTER, msgspec.json.encode(data.filter).decode())
    check_what(asked.scope, asked.what, project)
    return asked


def deletion_id(asked: Asked, idempotency_key: str | None, now: int, secret: bytes) -> EventId:
    """The id of the event: the same for every retry under one key, another one for anything else under it."""
    if idempotency_key is None:
        return EventId(plain_id(now, secret))
    named = msgspec.json.encode(["deletion", asked.scope, asked.what, idempotency_key]).decode()
    return EventId(keyed_id(named, secret))


def _idempotency_key(request: AnyRequest, data: DeleteBody) -> str | None:
    key = (data.idempotency_key or request.headers.get("idempotency-key") or "").strip()
    if len(key) > MAX_KEY_CHARACTERS:
        raise BadParameter("Idempotency-Key", f"is longer than {MAX_KEY_CHARACTERS} characters")
    return key or None


async def _published(
    asked: Asked, event_id: EventId, now: int, idempotency_key: str | None, bus: Bus
) -> list[Position]:
    publisher = bus.require()
    if asked.scope is Scope.ID:
        record_id = RecordId(asked.what)
        return [await publisher.publish(record_deletion(asked.project, record_id, event_id, now, idempotency_key))]
    of = asked.scope, asked.what
    return await publisher.broadcast(scope_deletion(asked.project, event_id, of, now, idempotency_key))
