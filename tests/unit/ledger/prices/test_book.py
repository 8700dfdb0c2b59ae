"""Which model a call's names lead to."""

from datetime import UTC, datetime

import pytest

from ledger.prices.book import PriceBook, current_version, known_versions
from ledger.prices.files import UnknownPriceVersion
from ledger.prices.rates import Rates
from ledger.prices.reasons import CostReason
from ledger.prices.schema import FORMAT, DatedPrices, Match, Model, PriceData, Provider, Variant
from ledger.usage import Usage

AT = datetime(2026, 6, 1, tzinfo=UTC)


def a_model(rate: int, *names: str, **changes: object) -> Model:
    flex = Variant(when={"service_tier": "flex"}, prices=DatedPrices({"input_tokens": rate * 1000}))
    rule = Match(equals=names) if not changes else Match(**changes)  # type: ignore[arg-type]
    model_id = names[0] if names else "unnamed"
    return Model(id=model_id, match=rule, prices=(DatedPrices({"input_tokens": rate}),), variants=(flex,))


BOOK = PriceBook(
    PriceData(
        format=FORMAT,
        providers=(
            Provider(
                id="openai",
                models=(a_model(1, "gpt-5"), a_model(2, "gpt-5-2025-12-11"), a_model(3, "shared")),
                named=Match(contains=("openai",)),
                claims=Match(starts_with=("gpt-", "shared", "moot")),
            ),
            Provider(id="azure", models=(a_model(4, "phi-4"),), also_serves=("nobody", "openai")),
            Provider(
                id="mistral",
                models=(a_model(5, "mistral-large"), a_model(6, "moot"), a_model(7, "shared")),
                named=Match(starts_with=("mistral",)),
                claims=Match(starts_with=("mistral", "moot", "shared")),
            ),
            Provider(
                id="aws",
                models=(
                    a_model(8, "meta.llama", contains=("meta.llama",)),
                    a_model(9, "amazon.nova", contains=("amazon.nova",)),
                    a_model(10, "amazon.twin", "meta.twin"),
                    a_model(11, "meta.other", "amazon.other"),
                    a_model(12, "amazon.odd"),
                    a_model(13, "meta.odd"),
                ),
                named=Match(contains=("bedrock", "openai-on-amazon")),
            ),
            Provider(id="x-ai", models=(a_model(14, "grok"),), named=Match(equals=("xai",))),
            Provider(id="google", models=(a_model(15, "gemini"),), claims=Match(contains=("gemini",))),
        ),
    ),
    "a version",
)


def found(provider: str | None, *models: str | None) -> int | CostReason:
    """The rate that marks the model which was found, or why there is none."""
    rates = BOOK.lookup(provider, models, AT)
    if isinstance(rates, CostReason):
        return rates
    rate = rates.cost(Usage(input_tokens=1))
    assert isinstance(rate, int)
    return rate


def test_the_served_model_is_tried_before_the_requested_one() -> None:
    assert found("openai", "gpt-5-2025-12-11", "gpt-5") == 2
    assert found("openai", None, "gpt-5") == 1
    assert found("openai", "a-deployment", "gpt-5") == 1
    assert found("openai", "", "gpt-5") == 1


def test_a_name_is_known_in_any_letter_case() -> None:
    assert found("OpenAI", "GPT-5") == 1


@pytest.mark.parametrize("name", ["openai/gpt-5", "openai:gpt-5", "my-openai/gpt-5", "azure/gpt-5", "models/gpt-5"])
def test_a_prefix_that_names_a_provider_is_left_out(name: str) -> None:
    assert found("openai", name) == 1


def test_any_other_prefix_is_part_of_the_name() -> None:
    assert found("openai", "acme/gpt-5") is CostReason.UNKNOWN_MODEL
    assert found("openai", "ft:gpt-5:acme") is CostReason.UNKNOWN_MODEL
    assert found("openai", "/gpt-5") is CostReason.UNKNOWN_MODEL


def test_a_compact_date_is_understood() -> None:
    assert found("openai", "gpt-5-20251211") == 2


def test_a_provider_prices_its_own_models_only() -> None:
    assert found("mistral", "gpt-5") is CostReason.UNKNOWN_MODEL


def test_a_provider_that_serves_another_ones_models_has_their_prices() -> None:
    assert found("azure", "gpt-5") == 1
    assert found("azure", "phi-4") == 4
    assert found("azure", "mistral-large") is CostReason.UNKNOWN_MODEL


def test_but_not_their_tiers() -> None:
    context = (("service_tier", "flex"),)
    assert BOOK.lookup("azure", ("gpt-5",), AT, context) is CostReason.NO_TIER_RATE
    assert isinstance(BOOK.lookup("openai", ("gpt-5",), AT, context), Rates)
    assert BOOK.lookup("openai", ("gpt-5",), AT, (("service_tier", "x"),)) is CostReason.NO_TIER_RATE


@pytest.mark.parametrize(
    ("provider", "model", "rate"),
    [
        ("my-openai-gateway", "gpt-5", 1),
        ("azure_openai", "phi-4", 4),
        ("azure.ai.openai", "phi-4", 4),
        ("x_ai", "grok", 14),
        (" xai ", "grok", 14),
        ("bedrock", "meta.llama-3", 8),
    ],
)
def test_a_provider_goes_by_several_names(provider: str, model: str, rate: int) -> None:
    assert found(provider, model) == rate


@pytest.mark.parametrize("provider", ["acme", " ", "openai-on-amazon"])
def test_a_provider_that_is_unknown_or_ambiguous_has_no_prices(provider: str) -> None:
    assert found(provider, "gpt-5") is CostReason.UNKNOWN_MODEL


@pytest.mark.parametrize("provider", [None, ""])
def test_without_a_provider_a_name_must_lead_to_exactly_one(provider: str | None) -> None:
    assert found(provider, "gpt-5") == 1
    assert found(provider, "moot") == 6  # claimed by two, but only one has it
    assert found(provider, "shared") is CostReason.UNKNOWN_MODEL
    assert found(provider, "phi-4") is CostReason.UNKNOWN_MODEL  # no provider claims such names


@pytest.mark.parametrize("provider", [None, "litellm", "LiteLLM"])
def test_without_a_provider_the_prefix_names_it(provider: str | None) -> None:
    assert found(provider, "azure/phi-4") == 4
    assert found(provider, "bedrock/meta.llama-3") == 8
    assert found(provider, "mistral/shared") == 7
    assert found(provider, "models/gemini") == 15
    assert found(provider, "acme/phi-4") is CostReason.UNKNOWN_MODEL


def test_a_vendor_that_was_left_out_is_found_when_there_is_only_one() -> None:
    assert found("aws", "llama-3") == 8
    assert found("aws", "nova-pro") == 9
    assert found("aws", "twin") == 10
    assert found("aws", "odd") is CostReason.UNKNOWN_MODEL
    assert found("openai", "llama-3") is CostReason.UNKNOWN_MODEL


@pytest.mark.parametrize("names", [(), (None,), (None, ""), ("nothing of the kind", None)])
def test_a_call_without_a_known_name_is_unknown(names: tuple[str | None, ...]) -> None:
    assert found("openai", *names) is CostReason.UNKNOWN_MODEL


def test_a_text_that_is_too_long_for_a_name_is_unknown() -> None:
    assert found("openai", "gpt-5", "x" * 257) is CostReason.UNKNOWN_MODEL
    assert found("x" * 257, "gpt-5") is CostReason.UNKNOWN_MODEL


def test_asking_twice_gives_the_same_answer() -> None:
    assert BOOK.lookup("openai", ("gpt-5",), AT) is BOOK.lookup("openai", ("gpt-5",), AT)
    assert found("openai", "gpt-9") is found("openai", "gpt-9") is CostReason.UNKNOWN_MODEL


def test_a_book_is_loaded_by_its_version_or_as_the_current_one() -> None:
    assert current_version() == known_versions()[-1]
    assert PriceBook.load().version == current_version()
    assert PriceBook.load(known_versions()[0]).version == known_versions()[0]


def test_a_version_from_the_future_is_refused() -> None:
    with pytest.raises(UnknownPriceVersion):
        PriceBook.load("f" * 12)
