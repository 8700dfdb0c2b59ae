"""What a deletion's progress is called, and where its bytes are said to be."""

from dataclasses import replace

import pytest

from ledger.deletion import Scope
from ledger.ids import EventId, ProjectId
from ledger.store.erasure import Erasable
from ledger.store.erasures import Erasure
from query_api.admin.deletions.states import BACKUPS, Progress, State, remaining
from tests.support.builders import A_TIME, an_id

NOTED = Erasure(Erasable(ProjectId("shop"), EventId(an_id(A_TIME, 1))), written_at=A_TIME, begun_at=A_TIME)
REWRITTEN = replace(NOTED, rewritten_at=A_TIME)
ERASED = replace(REWRITTEN, blobs_done=True, erased_at=A_TIME + 600_000)
APPLIED = Progress(Scope.USER, A_TIME, settled=2, partitions=2, erasure=None)
LATER = A_TIME + 49 * 3_600_000


@pytest.mark.parametrize(
    ("progress", "state"),
    [
        (Progress(None, None, 0, 12, None), State.WAITING),
        (replace(APPLIED, settled=1), State.WAITING),
        (replace(APPLIED, partitions=None), State.WAITING),
        (APPLIED, State.APPLIED),
        (replace(APPLIED, partitions=None, erasure=NOTED), State.APPLIED),
        (replace(APPLIED, erasure=ERASED), State.ERASED),
    ],
)
def test_the_state_is_what_is_known(progress: Progress, state: State) -> None:
    assert progress.state is state


def said(progress: Progress, now: int = LATER) -> list[str]:
    return [text.partition(":")[0] for text in remaining(progress, now, bus_hours=24)]


def test_before_it_is_applied_the_records_themselves_remain() -> None:
    assert said(replace(APPLIED, settled=1)) == ["records", "backups"]


def test_once_applied_the_store_still_has_parts_to_write() -> None:
    assert said(APPLIED) == ["parts", "backups"]
    assert said(replace(APPLIED, erasure=NOTED)) == ["parts", "blobs", "backups"]


def test_old_parts_and_blobs_say_until_when() -> None:
    waiting = replace(REWRITTEN, old_parts=3, blobs_until=A_TIME + 3_600_000)
    old, blobs, backups = remaining(replace(APPLIED, erasure=waiting), LATER, bus_hours=24)
    assert old == "old parts: 3 on disk until 2026-03-14T15:17:26.535Z or a minute later"
    assert blobs.endswith("until 2026-03-14T16:09:26.535Z")
    assert backups == BACKUPS


def test_the_bus_is_named_until_its_retention_is_over() -> None:
    done = replace(APPLIED, erasure=ERASED)
    assert said(done, A_TIME + 47 * 3_600_000) == ["bus", "backups"]
    assert said(done, A_TIME + 48 * 3_600_000) == ["backups"]
    assert said(replace(done, accepted_at=None)) == ["bus", "backups"]


def test_dead_letters_that_were_not_judged_are_said_even_at_the_end() -> None:
    unread = replace(APPLIED, erasure=replace(ERASED, unread_dead_letters=2), dead_letters=9)
    assert said(unread) == ["dead letters", "backups"]
    by_filter = replace(APPLIED, scope=Scope.FILTER, erasure=ERASED, dead_letters=9)
    assert "9 of the project are not judged" in remaining(by_filter, LATER, bus_hours=24)[0]
