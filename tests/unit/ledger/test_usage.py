"""What counts as a count."""

import pytest

from ledger.usage import INT64_MAX, Usage, count_of


@pytest.mark.parametrize(("value", "count"), [(0, 0), (7, 7), (12.0, 12), (INT64_MAX, INT64_MAX), (0.0, 0), (-0.0, 0)])
def test_whole_numbers_that_fit_are_counts(value: object, count: int) -> None:
    assert count_of(value) == count
    assert type(count_of(value)) is int


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        -1,
        -1.0,
        12.5,
        INT64_MAX + 1,
        1e300,
        float("inf"),
        float("-inf"),
        float("nan"),
        "7",
        b"7",
        [7],
    ],
)
def test_anything_else_counts_as_not_reported(value: object) -> None:
    assert count_of(value) is None


def test_a_usage_knows_nothing_that_it_was_not_told() -> None:
    told = Usage(input_tokens=3)
    unknown = set(Usage.__struct_fields__) - {"input_tokens", "read_as_exclusive"}
    assert all(getattr(told, name) is None for name in unknown)
    assert told.read_as_exclusive is False
