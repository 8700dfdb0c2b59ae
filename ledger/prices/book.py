"""PriceBook: which rates a call is priced by. One version of the price data, read once, never changed.

A name that does not lead to exactly one model has no price. Answers are remembered, and so is that there is none: an
unknown model costs a full search only once. What is remembered is bounded, since callers choose the names.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from ledger.prices import files
from ledger.prices.matching import NameIndex, Predicate, dashed_date, predicate_of
from ledger.prices.rates import Rates
from ledger.prices.reasons import CostReason
from ledger.prices.schedule import Context, Schedule
from ledger.prices.schema import PriceData, Provider, decode

_REMEMBERED_CALLS = 8192
_LONGEST_NAME = 256  # characters; longer texts are no names, and are not worth remembering

_ROUTERS = frozenset({"litellm"})
"""Providers that only pass calls on: the model's prefix says to whom."""

_RESOURCE_PREFIXES = frozenset({"models"})
"""Prefixes that are part of a name in an address and say nothing about the provider."""

_VENDOR_PREFIXED = "aws"
"""The provider whose names begin with the vendor (`meta.llama3-…`), which callers tend to leave out."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The models of one provider."""

    id: str
    named: Predicate
    claims: Predicate
    also_serves: tuple[str, ...]
    index: NameIndex
    schedules: tuple[Schedule, ...]
    vendors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A model, and whether it was found among the asked provider's own or those of one that it also serves."""

    schedule: Schedule
    own: bool


class _TooLong(Exception):
    """One of the names is no name. As an exception it is not remembered."""


class PriceBook:
    """The prices of one version."""

    def __init__(self, data: PriceData, version: str) -> None:
        self.version = version
        self._shelves = {provider.id: _shelf(provider) for provider in data.providers}
        self._find = lru_cache(_REMEMBERED_CALLS)(self._search)

    @classmethod
    def load(cls, version: str | None = None) -> "PriceBook":
        """The book of that version, or the current one. Raises `UnknownPriceVersion` when it is not carried."""
        chosen = version or current_version()
        return cls(decode(files.read(chosen)), chosen)

    def lookup(
        self, provider: str | None, models: tuple[str | None, ...], at: datetime, context: Context = ()
    ) -> Rates | CostReason:
        """The rates at this (aware) instant of the first of these names that is known."""
        try:
            found = self._find(provider, models)
        except _TooLong:
            found = None
        if found is None:
            return CostReason.UNKNOWN_MODEL
        if context and not found.own:
            return CostReason.NO_TIER_RATE  # the data give tiers for a provider's own models only
        return found.schedule.rates(at, context) or CostReason.NO_TIER_RATE

    def _search(self, provider: str | None, models: tuple[str | None, ...]) -> _Found | None:
        if any(len(name) > _LONGEST_NAME for name in (provider, *models) if name is not None):
            raise _TooLong
        found = (self._find_model(provider, model.lower()) for model in models if model)
        return next(filter(None, found), None)

    def _find_model(self, provider: str | None, model: str) -> _Found | None:
        """The model as its name is given, else without a prefix that names a provider."""
        prefix, bare = _split(model)
        if not provider or provider.lower() in _ROUTERS:
            return self._find_anywhere(model) or self._find_prefixed(prefix, bare)
        shelf = self._shelf_named(provider)
        if shelf is None:
            return None
        return self._find_on(shelf, model) or (self._find_on(shelf, bare) if self._is_prefix(prefix) else None)

    def _find_prefixed(self, prefix: str, bare: str) -> _Found | None:
        if prefix in _RESOURCE_PREFIXES:
            return self._find_anywhere(bare)
        shelf = self._shelf_named(prefix)
        return None if shelf is None else self._find_on(shelf, bare)

    def _is_prefix(self, prefix: str) -> bool:
        return prefix in _RESOURCE_PREFIXES or self._shelf_named(prefix) is not None

    def _find_anywhere(self, model: str) -> _Found | None:
        """The model when exactly one of the providers that claim such a name has it."""
        found = [self._find_on(shelf, model) for shelf in self._shelves.values() if shelf.claims(model)]
        known = [one for one in found if one is not None]
        return known[0] if len(known) == 1 else None

    def _shelf_named(self, name: str) -> _Shelf | None:
        """The one provider that goes by this name."""
        name = name.strip().lower()
        shelf = self._shelves.get(name) or self._shelves.get(name.replace("_", "-"))
        if shelf is not None or not name:
            return shelf
        if "azure" in name:
            return self._shelves.get("azure")  # such as azure_openai: served, and billed, by Azure
        named = [shelf for shelf in self._shelves.values() if shelf.named(name)]
        return named[0] if len(named) == 1 else None

    def _find_on(self, shelf: _Shelf, model: str) -> _Found | None:
        dashed = dashed_date(model)
        names = (model,) if dashed == model else (model, dashed)
        return next(filter(None, (self._find_exactly(shelf, name) for name in names)), None) or _without_vendor(
            shelf, model
        )

    def _find_exactly(self, shelf: _Shelf, name: str) -> _Found | None:
        place = shelf.index.find(name)
        if place is not None:
            return _Found(shelf.schedules[place], own=True)
        for other in map(self._shelves.get, shelf.also_serves):
            place = None if other is None else other.index.find(name)
            if other is not None and place is not None:
                return _Found(other.schedules[place], own=False)
        return None


def known_versions() -> tuple[str, ...]:
    """Every version that this program can price by, oldest first."""
    return files.known_versions()


def current_version() -> str:
    """The version that new calls are stamped with."""
    return files.current_version()


def _shelf(provider: Provider) -> _Shelf:
    vendors = {model.id.split(".")[0] for model in provider.models if "." in model.id}
    return _Shelf(
        id=provider.id,
        named=predicate_of(provider.named),
        claims=predicate_of(provider.claims),
        also_serves=provider.also_serves,
        index=NameIndex([model.match for model in provider.models]),
        schedules=tuple(Schedule(model) for model in provider.models),
        vendors=tuple(sorted(vendors)) if provider.id == _VENDOR_PREFIXED else (),
    )


def _split(model: str) -> tuple[str, str]:
    """A name's prefix (before the first `/` or `:`) and the rest; no prefix when there is neither."""
    for place, character in enumerate(model):
        if character in "/:":
            return model[:place], model[place + 1 :]
    return "", model


def _without_vendor(shelf: _Shelf, model: str) -> _Found | None:
    """The one model that has this name after some vendor's prefix."""
    found = (shelf.index.find(f"{vendor}.{model}") for vendor in shelf.vendors)
    places = {place for place in found if place is not None}
    return _Found(shelf.schedules[places.pop()], own=True) if len(places) == 1 else None
