"""Which columns there are, and that each holds what its name says in every place where it is named."""

from typing import get_type_hints

import pytest

from ledger.request_log import Bodies, RequestLog
from query_api.errors import BadParameter
from query_api.export.columns import HEAVY, KNOWN, LIGHT, Kind, bodies_among, chosen, kind_of

TYPES = {Kind.WHOLE: {int}, Kind.NUMBER: {float}, Kind.FLAG: {bool}, Kind.MONEY: {int}, Kind.TIME: {int}}


def test_every_column_of_a_row_is_of_the_kind_that_is_stored() -> None:
    stored = get_type_hints(RequestLog)
    for name in set(LIGHT) & set(stored):
        kind = kind_of(name)
        held = set(getattr(stored[name], "__args__", (stored[name],))) - {type(None)}
        assert (held & {int, float, bool}) == TYPES.get(kind, set()), name


def test_every_column_can_be_read_from_a_row_or_its_bodies() -> None:
    assert set(KNOWN) - {"cursor"} <= set(get_type_hints(RequestLog)) | set(get_type_hints(Bodies))


def test_without_a_choice_there_are_the_light_ones_or_all() -> None:
    assert chosen(None, with_bodies=False) == LIGHT
    assert chosen(None, with_bodies=True) == HEAVY
    assert bodies_among(LIGHT) == ()
    assert "raw_stream" in bodies_among(HEAVY)


def test_a_choice_is_kept_in_its_order_and_nothing_twice() -> None:
    assert chosen("cost, id,prompt,id", with_bodies=True) == ("cost", "id", "prompt")


@pytest.mark.parametrize("text", ["nothing", "id,", ",", "ID", "id;cost"])
def test_an_unknown_column_is_answered_with_the_known_ones(text: str) -> None:
    with pytest.raises(BadParameter, match=r"there are: id, project, .*, cursor"):
        chosen(text, with_bodies=False)
