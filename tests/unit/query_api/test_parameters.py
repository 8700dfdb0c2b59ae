"""Query strings → pages."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from query_api.conditions import Conditions
from query_api.errors import BadParameter, TooExpensive
from query_api.parameters import CursorPage, NumberedPage, Page, given, page_of
from query_api.sorting import SORTS

NOW = datetime(2026, 4, 1, tzinfo=UTC)
NOW_MS = 1_775_001_600_000


def asked(query: str) -> Page:
    return page_of(given(query.encode()), lambda: NOW)


def test_without_parameters_the_newest_ten_are_meant() -> None:
    assert asked("") == NumberedPage(Conditions(), SORTS["createdAt"], ascending=False, size=10, number=1)


def test_parameters_are_decoded_once() -> None:
    page = asked("user_id=a%2540b+c&search=caf%C3%A9%2B1")
    assert page.conditions == Conditions(user_id="a%40b c", search="café+1")


def test_text_that_was_not_encoded_is_read_as_utf8() -> None:
    assert asked("search=привет").conditions.search == "привет"
    assert asked("search=%ff").conditions.search == "\ufffd"


def test_the_first_of_a_repeated_parameter_counts() -> None:
    page = asked("pageSize=1&pageSize=2&pageNumber=3")
    assert isinstance(page, NumberedPage)
    assert (page.size, page.offset) == (1, 2)


@pytest.mark.parametrize(
    "query", ["pageSize=10000&pageNumber=100", "pageNumber=100000", "pageSize=0&pageNumber=9999999"]
)
def test_numbered_pages_reach_to_the_millionth_row(query: str) -> None:
    page = asked(query)
    assert isinstance(page, NumberedPage)
    assert page.offset + page.size in (1_000_000, 0)


@pytest.mark.parametrize("query", ["pageSize=10000&pageNumber=101", "pageNumber=100001", "pageNumber=999999999999999"])
def test_deeper_pages_are_refused_with_the_way_to_go_on(query: str) -> None:
    with pytest.raises(TooExpensive, match="view=full&cursor="):
        asked(query)


@pytest.mark.parametrize("order", ["asc", "ASC", "Asc"])
def test_the_order_may_be_in_any_letter_case(order: str) -> None:
    page = asked(f"sortOrder={order}&sortBy=cost&types=documented")
    assert page == NumberedPage(Conditions(), SORTS["cost"], ascending=True, as_texts=True)


@pytest.mark.parametrize("query", ["view=full", "cursor=", "view=full&cursor=&limit=&from=&to=&pageSize="])
def test_our_own_form_begins_with_the_newest_fifty(query: str) -> None:
    assert asked(query) == CursorPage(Conditions(), after=None, limit=50)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now", NOW_MS),
        ("now-90s", NOW_MS - 90_000),
        ("now-1h", NOW_MS - 3_600_000),
        ("now-2w", NOW_MS - 14 * 86_400_000),
        ("now-999999w", 0),
        ("2026-04-01", NOW_MS),
        ("2026-04-01T02:00:00.5+02:00", NOW_MS + 500),
    ],
)
def test_bounds_are_absolute_or_relative_to_now(text: str, ms: int) -> None:
    page = asked(urlencode({"view": "full", "from": text}))
    assert page.conditions.created_from == ms


@pytest.mark.parametrize("text", ["now+1h", "now-1", "now-h", "-1h", "1h", "now-1000000d", "tomorrow", "1999", "0"])
def test_other_bounds_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match=r"^to: "):
        asked(urlencode({"cursor": "", "to": text}))


@pytest.mark.parametrize("name", ["sortBy", "sortOrder", "pageSize", "pageNumber", "types"])
def test_what_belongs_to_the_documented_form_is_not_ignored_in_our_own(name: str) -> None:
    with pytest.raises(BadParameter, match=f"^{name}: "):
        asked(f"view=full&{name}=1")
