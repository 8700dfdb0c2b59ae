"""What docs/statistics.md names is served, and its numbers are those of the program."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from query_api.aggregates.aggregates import MOST_GROUPS
from query_api.aggregates.asking import DEFAULT_DAYS, DEFAULT_LIMIT, MAX_LIMIT, asked_of
from query_api.aggregates.cache import CacheLimits
from query_api.aggregates.facets import DEFAULT_FIELDS, MOST_FIELDS, facets_asked
from query_api.aggregates.facets import DEFAULT_LIMIT as LISTED_VALUES
from query_api.aggregates.groups import COLUMNS, FACET_COLUMNS
from query_api.aggregates.histogram import histogram_asked
from query_api.aggregates.intervals import AUTO_BUCKETS, LENGTHS, MOST_BUCKETS
from query_api.aggregates.percentiles import SHIFT
from query_api.aggregates.statistics import MOST_DIMENSIONS, MOST_ROWS, statistics_asked
from query_api.routes import ROUTES
from tests.support.query_service import A_NOW

TEXT = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
COMMANDS = re.findall(r'^curl -sf "\$LEDGER(\S+)" -H "Authorization: Bearer \$LEDGER_KEY"$', TEXT, re.MULTILINE)
READ_BY = {"stats": statistics_asked, "histogram": histogram_asked, "facets": facets_asked, "unpriced": asked_of}


def test_there_is_a_command_for_each_endpoint() -> None:
    assert len(COMMANDS) == TEXT.count("curl ")
    assert {urlsplit(command).path.rpartition("/")[2] for command in COMMANDS} == set(READ_BY)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_asks_what_can_be_asked(command: str) -> None:
    url = urlsplit(command)
    assert ("GET", url.path) in ROUTES
    READ_BY[url.path.rpartition("/")[2]](dict(parse_qsl(url.query)), lambda: A_NOW)


def test_the_numbers_are_those_of_the_program() -> None:
    assert (DEFAULT_DAYS, DEFAULT_LIMIT, MAX_LIMIT, LISTED_VALUES, MOST_FIELDS) == (30, 100, 1000, 20, 20)
    assert (MOST_DIMENSIONS, AUTO_BUCKETS, MOST_BUCKETS, MOST_ROWS) == (2, 121, 2000, 20_000)
    assert f"more than {MOST_GROUPS:,} groups" in TEXT
    assert 2 ** (52 - SHIFT) == 128
    assert CacheLimits().max_bytes == 64 * 1024**2
    names = [*COLUMNS, *LENGTHS, *FACET_COLUMNS, *DEFAULT_FIELDS]
    assert [name for name in names if f"`{name}`" not in TEXT] == []
