"""How many exports may run at the same time."""

from contextlib import ExitStack

import pytest

from ledger.ids import ProjectId
from query_api.export.places import Places, TooManyExports

SHOP, BANK = ProjectId("shop"), ProjectId("bank")


def test_a_project_has_its_own_few_places() -> None:
    places = Places(per_project=2, in_all=8)
    with places.taken(SHOP), places.taken(SHOP):
        with pytest.raises(TooManyExports, match="2 exports of this project"), places.taken(SHOP):
            pass
        with places.taken(BANK), places.taken(None):
            pass


def test_all_projects_together_have_some_more() -> None:
    places = Places(per_project=2, in_all=3)
    with ExitStack() as stack:
        for project in (SHOP, BANK, None):
            stack.enter_context(places.taken(project))
        with pytest.raises(TooManyExports, match="3 exports are"), places.taken(ProjectId("third")):
            pass


def test_a_place_is_given_back_however_it_was_left() -> None:
    places = Places(per_project=1, in_all=1)
    for _ in range(3):
        with pytest.raises(KeyError), places.taken(SHOP):
            raise KeyError
        with places.taken(BANK):
            pass
