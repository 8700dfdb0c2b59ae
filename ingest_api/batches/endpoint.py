"""The endpoint of batches: each item gets its own verdict, and a 2xx leaves nothing that is worth sending again.

200: every item is durable. 207: some are, the others are bad. 422: all are bad. 503: at least one good item is not
confirmed. All four tell what became of each item. 500 is a fault of ours: items may be durable. With any other status,
and with 503 without results, nothing of the batch was accepted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from ingest_api import routes
from ingest_api.batches.documentation import described
from ingest_api.batches.framing import NDJSON, Framer
from ingest_api.batches.judging import ItemJudge, Sound
from ingest_api.batches.problems import BatchAnswer, ItemResult, NotAllConfirmed, Problem, problem_of
from ingest_api.batches.sender import batch_sender
from ingest_api.bodies import Body, BodyReader, Charge
from ingest_api.errors import status_of
from ingest_api.intake import (
    LONGEST_IDEMPOTENCY_KEY,
    BadIdempotencyKey,
    Intake,
    Receipt,
    Stamped,
    Submission,
    idempotency_key_of,
)
from ledger.errors import LedgerError, NotFound
from ledger.keys import Principal

Verdict = Sound | Problem

_THREAD_ABOVE_BYTES = 32 * 1024
"""Bad items are dear: those of 256 KiB would hold up the loop for 70 ms, those of 32 KiB for 12. A thread costs a batch
80 us: a fifth of judging and stamping 20 items of 3 KB, and too much for ten.
"""


@dataclass(frozen=True, slots=True)
class BatchEndpoint:
    """The handler and what it works with."""

    intake: Intake
    reader: BodyReader
    framer: Framer
    judge: ItemJudge

    @classmethod
    def of(cls, intake: Intake, reader: BodyReader) -> "BatchEndpoint":
        """The endpoint beside others, which read with that reader. It shares their budget and turns, not their caps."""
        settings = reader.settings
        in_a_thread = min(settings.thread_above_bytes, _THREAD_ABOVE_BYTES)
        caps = replace(settings, max_body_bytes=settings.max_batch_bytes, thread_above_bytes=in_a_thread)
        framer, judge = Framer(settings.max_batch_items), ItemJudge(settings.max_body_bytes)
        return cls(intake, replace(reader, settings=caps), framer, judge)

    def handlers(self) -> list[HTTPRouteHandler]:
        """The route."""
        return [post(routes.BATCH, status_code=200, **described(self.reader.settings))(self.reports)]

    async def reports(self, request: Request[Any, Any, Any]) -> Response[BatchAnswer]:
        """Accept many reports. Each item stands for itself: a bad one, or one that is not confirmed, stops no other.

        200: every item is durable. 207: some are, the others can never be accepted as they are. 422: no item can. 503
        with `results`: at least one item is not confirmed; send it again, or the whole batch under the same key.
        """
        headers = dict(request.scope["headers"])
        sender = batch_sender(headers, self.intake.keys)
        key = self._key_of_all(headers)
        as_lines = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1") in NDJSON
        with self.reader.charged() as charge:
            body = await self.reader.read(request, charge)
            verdicts = await self.reader.decoded(body, charge, self._verdicts(charge, as_lines=as_lines))
            results = await self._accepted(sender, key, verdicts)
        return _answer(results)

    def _key_of_all(self, headers: dict[bytes, bytes]) -> str | None:
        key = idempotency_key_of(headers)
        if key is not None and len(_item_key(key, self.framer.most - 1)) > LONGEST_IDEMPOTENCY_KEY:
            raise BadIdempotencyKey("The Idempotency-Key of a batch must leave room for / and an item's index.")
        return key

    def _verdicts(self, charge: Charge, *, as_lines: bool) -> Callable[[bytes], list[Verdict]]:
        def verdicts(body: bytes) -> list[Verdict]:
            charge.add(len(body))  # the bodies of the items are cut out of it: as much again
            items = self.framer.items(body, as_lines=as_lines, count=charge.add)
            return [self.judge.verdict(item) for item in items]

        return verdicts

    async def _accepted(self, sender: Principal, key: str | None, verdicts: Sequence[Verdict]) -> list[ItemResult]:
        """What becomes of each item; the good ones are made durable together, in their order."""
        decided = [self._stamped(sender, key, index, verdict) for index, verdict in enumerate(verdicts)]
        outcomes = iter(await self.intake.publish_all([each for each in decided if isinstance(each, Stamped)]))
        return [
            _result(index, next(outcomes) if isinstance(each, Stamped) else each) for index, each in enumerate(decided)
        ]

    def _stamped(self, sender: Principal, key: str | None, index: int, verdict: Verdict) -> Stamped | Problem:
        if isinstance(verdict, Problem):
            return verdict
        own = verdict.idempotency_key
        if own is None and key is not None:
            own = _item_key(key, index)
        try:
            return verdict.stamp(self.intake, Submission(sender, Body(verdict.body, None), own))
        except NotFound as error:
            return problem_of(status_of(error), error)


def _item_key(key: str, index: int) -> str:
    return f"{key}/{index}"


def _result(index: int, outcome: Receipt | LedgerError | Problem) -> ItemResult:
    if isinstance(outcome, Receipt):
        return ItemResult(index, outcome.record_id, outcome.position_text)
    if isinstance(outcome, Problem):
        return ItemResult(index, error=outcome)
    return ItemResult(index, error=problem_of(status_of(outcome), outcome))


def _answer(results: list[ItemResult]) -> Response[BatchAnswer]:
    problems = [result.error for result in results if result.error is not None]
    if any(problem.retry for problem in problems):
        raise NotAllConfirmed(results)
    status = 200 if not problems else 422 if len(problems) == len(results) else 207
    return Response(BatchAnswer(results), status_code=status)
