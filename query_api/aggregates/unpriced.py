"""`/api/v1/models/unpriced`: models with calls whose cost is unknown, and why it is."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.clock import Clock
from ledger.filtering.reach import Reach
from query_api.aggregates.aggregates import Aggregates
from query_api.aggregates.asking import Asked, asked_of, limit_of
from query_api.aggregates.groups import order_of
from query_api.aggregates.measured import numbers, total
from query_api.aggregates.measures import UNPRICED
from query_api.aggregates.partials import Key, Partial, added
from query_api.aggregates.questions import Rows, question, span_of
from query_api.aggregates.schemas import ReasonCalls, UnpricedModel, UnpricedModels
from query_api.parameters import Given
from query_api.reading import Reader
from query_api.views import iso

_KEYS = ("model_requested", "provider", "cost_reason")


@dataclass(frozen=True, slots=True)
class UnpricedAsked:
    """What is asked for."""

    rows: Asked
    limit: int


def unpriced_asked(parameters: Given, clock: Clock) -> UnpricedAsked:
    """Raises `BadParameter` or `BadFilter`."""
    return UnpricedAsked(asked_of(parameters, clock), limit_of(parameters))


async def unpriced(asked: UnpricedAsked, reach: Reach, aggregates: Aggregates, reader: Reader) -> UnpricedModels:
    """Raises `BadFilter`, `TooExpensive`, `TooBusy`, `StoreUnavailable` or `StoreBroken`."""
    conditions = asked.rows.conditions
    wanted = question(Rows(conditions, reach, also="cost IS NULL"), UNPRICED, _KEYS)
    (partials,) = await aggregates.of([wanted], span_of(conditions, reach), reader)
    return await asyncio.to_thread(_shown, asked, partials)


def _shown(asked: UnpricedAsked, partials: Sequence[Partial]) -> UnpricedModels:
    models = _models(added(partials))
    left = models[asked.limit :]
    return UnpricedModels(
        **asked.rows.said(),
        calls=sum(model.calls for model in models),
        data=models[: asked.limit],
        other_models=len(left),
        other_calls=sum(model.calls for model in left),
    )


def _models(by_reason: Partial) -> list[UnpricedModel]:
    by_model = added([by_reason], lambda key: key[:2])
    reasons: dict[Key, list[tuple[int, str | None]]] = defaultdict(list)
    for (*model, reason), sums in zip(by_reason.keys, by_reason.sums.tolist(), strict=True):
        reasons[tuple(model)].append((sums[0], reason or None))
    models = [
        _model(key, by_model.sums[place].tolist(), by_model.peaks[place].tolist(), reasons[key])
        for place, key in enumerate(by_model.keys)
    ]
    return sorted(models, key=lambda model: order_of(model.calls, (model.model, model.provider)))


def _model(
    key: Key, sums: Sequence[int], peaks: Sequence[int], reasons: Sequence[tuple[int, str | None]]
) -> UnpricedModel:
    calls, *pairs = numbers(UNPRICED, sums)
    tokens = [total(known, sum_, calls) for known, sum_ in zip(pairs[::2], pairs[1::2], strict=True)]
    ranked = sorted(reasons, key=lambda pair: order_of(pair[0], (pair[1],)))
    return UnpricedModel(
        model=key[0] or None,
        provider=key[1] or None,
        reasons=[ReasonCalls(reason, count) for count, reason in ranked],
        calls=calls,
        first_seen=iso(~peaks[0]),
        last_seen=iso(peaks[1]),
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        total_tokens=tokens[2],
    )
