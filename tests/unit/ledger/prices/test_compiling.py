"""From the source's data to ours: everything exactly, or not at all."""

from datetime import date, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from genai_prices import types

from ledger.prices.compiling import compiled, main
from ledger.prices.files import current_version, known_versions
from ledger.prices.schema import Cliff, DatedPrices, Match, Model, Provider, Variant, decode


def a_provider(*models: types.ModelInfo) -> types.Provider:
    return types.Provider(id="p", name="P", api_pattern="", models=list(models))


def a_model(
    prices: types.ModelPrice | list[types.ConditionalPrice], match: types.MatchLogic | None = None, name: str = "m"
) -> types.ModelInfo:
    return types.ModelInfo(id=name, match=match or types.ClauseEquals("m"), prices=prices)


def only_provider(source: types.Provider) -> Provider:
    (provider,) = decode(compiled([source])).providers
    return provider


def only_model(source: types.ModelInfo) -> Model:
    (model,) = only_provider(a_provider(source)).models
    return model


def rates(**prices: Decimal | types.TieredPrices) -> object:
    (dated,) = only_model(a_model(types.ModelPrice(**prices))).prices
    return dated.rates


def test_a_rate_is_in_pico_usd_per_single_unit() -> None:
    assert rates(input_mtok=Decimal("1.25"), requests_kcount=Decimal(12)) == {
        "input_tokens": 1_250_000,
        "requests": 12 * 10**9,
    }


def test_a_rate_that_is_no_whole_number_stays_exact() -> None:
    assert rates(input_mtok=Decimal("0.0000001")) == {"input_tokens": "1/10"}


def test_a_rate_by_size_keeps_its_thresholds() -> None:
    tiered = types.TieredPrices(base=Decimal(1), tiers=[types.Tier(200_000, Decimal(2))])
    assert rates(input_mtok=tiered) == {"input_tokens": Cliff(1_000_000, ((200_000, 2_000_000),))}


def test_a_price_that_is_not_given_is_no_rate() -> None:
    assert rates(input_mtok=Decimal(1), output_mtok=cast(Decimal, None)) == {"input_tokens": 1_000_000}


@pytest.mark.parametrize("price", [Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_a_price_that_is_no_price_is_refused(price: Decimal) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        rates(input_mtok=price)


def test_a_rate_by_size_of_something_else_than_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="has a rate by size"):
        rates(audio_hours=types.TieredPrices(base=Decimal(1), tiers=[]))


def test_a_part_without_its_total_is_refused() -> None:
    with pytest.raises(ValueError, match="Missing ancestor price"):
        rates(cache_read_mtok=Decimal(1))


def test_dates_and_times_of_day_are_kept_in_utc() -> None:
    zone = timezone(timedelta(hours=8))
    plain = types.ModelPrice()
    model = only_model(
        a_model(
            [
                types.ConditionalPrice(prices=plain),
                types.ConditionalPrice(types.StartDateConstraint(date(2026, 1, 2)), prices=plain),
                types.ConditionalPrice(types.TimeOfDateConstraint(time(9), time(17)), prices=plain),
                types.ConditionalPrice(
                    types.TimeOfDateConstraint(time(4, tzinfo=zone), time(9, tzinfo=zone)), prices=plain
                ),
            ]
        )
    )
    assert model.prices == (
        DatedPrices(),
        DatedPrices(since=date(2026, 1, 2)),
        DatedPrices(daily=(time(9), time(17))),
        DatedPrices(daily=(time(20), time(1))),
    )


def test_variants_are_kept_with_their_dates() -> None:
    source = a_model(types.ModelPrice())
    since = types.StartDateConstraint(date(2026, 1, 2))
    source.price_variants = [
        types.PriceVariant({"processing": "batch"}, types.ModelPrice(input_mtok=Decimal(1)), since)
    ]
    expected = Variant({"processing": "batch"}, DatedPrices({"input_tokens": 1_000_000}, since=date(2026, 1, 2)))
    assert only_model(source).variants == (expected,)


def test_the_free_suffix_is_a_known_rate_of_zero_where_there_is_no_other() -> None:
    assert only_model(a_model(types.ModelPrice(), name="m:free")).prices[0].rates == {
        "input_tokens": 0,
        "output_tokens": 0,
    }
    rated = a_model(types.ModelPrice(input_mtok=Decimal(1)), name="m:free")
    assert only_model(rated).prices[0].rates == {"input_tokens": 1_000_000}
    assert only_model(a_model(types.ModelPrice())).prices[0].rates == {}


def test_rules_are_kept_in_lower_case_but_for_patterns() -> None:
    rule = types.ClauseOr(
        or_=[
            types.ClauseEquals("A"),
            types.ClauseStartsWith("B"),
            types.ClauseEndsWith("C"),
            types.ClauseContains("D"),
            types.ClauseRegex("^E$"),
            types.ClauseOr(or_=[types.ClauseEquals("F")]),
            types.ClauseAnd(and_=[types.ClauseContains("G"), types.ClauseContains("H")]),
        ]
    )
    assert only_model(a_model(types.ModelPrice(), rule)).match == Match(
        equals=("a", "f"),
        starts_with=("b",),
        ends_with=("c",),
        contains=("d",),
        regex=("^E$",),
        every=((Match(contains=("g",)), Match(contains=("h",))),),
    )


def test_a_rule_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        only_model(a_model(types.ModelPrice(), cast(types.MatchLogic, "a rule")))


def test_a_provider_keeps_its_names_and_its_claims() -> None:
    source = a_provider()
    source.provider_match = types.ClauseContains("p")
    source.model_match = types.ClauseStartsWith("m-")
    source.fallback_model_providers = ["q"]
    assert only_provider(source) == Provider(
        id="p", models=(), named=Match(contains=("p",)), claims=Match(starts_with=("m-",)), also_serves=("q",)
    )
    assert only_provider(a_provider()) == Provider(id="p", models=())


def test_the_command_appends_what_is_new_and_only_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(tmp_path)
    assert capsys.readouterr().out == f"Appended version {current_version(tmp_path)}.\n"
    main(tmp_path)
    assert capsys.readouterr().out == "The data did not change.\n"
    assert len(known_versions(tmp_path)) == 1
