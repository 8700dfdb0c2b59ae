"""The form of the price data files."""

from datetime import date, time
from fractions import Fraction

import msgspec
import pytest

from ledger.prices.schema import (
    FORMAT,
    Cliff,
    DatedPrices,
    Match,
    Model,
    PriceData,
    Provider,
    Variant,
    decode,
    encode,
    exact,
    version_of,
)

DATA = PriceData(
    format=FORMAT,
    providers=(
        Provider(
            id="one",
            models=(
                Model(
                    id="m",
                    match=Match(equals=("m",), every=((Match(starts_with=("m",)), Match(regex=("x$",))),)),
                    prices=(
                        DatedPrices({"input_tokens": 5, "output_tokens": "1/3"}),
                        DatedPrices({"input_tokens": Cliff(5, ((100, 7),))}, since=date(2026, 1, 1)),
                        DatedPrices({}, daily=(time(23), time(1, 30))),
                    ),
                    variants=(Variant(when={"speed": "fast"}, prices=DatedPrices({"output_tokens": 9})),),
                ),
            ),
            also_serves=("two",),
        ),
    ),
)


def test_what_was_encoded_is_decoded() -> None:
    assert decode(encode(DATA)) == DATA


def test_the_order_of_rates_does_not_change_the_bytes() -> None:
    one, other = DatedPrices({"a": 1, "b": 2}), DatedPrices({"b": 2, "a": 1})
    models = [(Model(id="m", match=Match(), prices=(prices,)),) for prices in (one, other)]
    contents = [encode(PriceData(FORMAT, (Provider(id="p", models=each),))) for each in models]
    assert contents[0] == contents[1]


def test_another_format_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="reads format"):
        decode(encode(PriceData(format=FORMAT + 1, providers=())))


def test_a_field_of_the_future_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"format":1,"providers":[],"discount":2}')


def test_a_version_is_short_and_depends_on_the_content_alone() -> None:
    assert version_of(b"a") == version_of(b"a") != version_of(b"b")
    assert len(version_of(b"a")) == 12


def test_amounts_are_exact() -> None:
    assert exact(7) == 7
    assert exact("10/3") == Fraction(10, 3)
