"""Sending the demo's traffic: nothing is lost, nothing is stored twice, and what cannot work ends with advice."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from deploy.demo.models import Dialect
from deploy.demo.reports import Report
from deploy.demo.sending import NotAccepted, Patience, Sender, send_all
from deploy.demo.target import Target

TARGET = Target("http://ledger.test", "the-key", "shop")
A_REPORT = Report(Dialect.OPENPIPE, b'{"n":1}')
AN_ENTRY = Report(Dialect.LOG_ENTRY, b'{"model":"m"}', {"cost": 0.5})

Answer = httpx.Response | Exception


def ok() -> httpx.Response:
    return httpx.Response(200, json={"id": "entry-1"})


@dataclass(slots=True)
class FakeLedger:
    """Answers as it is told, then with 200; remembers what it was sent and how long the sender waited."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else ok()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def sender(self, patience: Patience | None = None) -> Sender:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return Sender(client, TARGET, "run-1", patience or Patience(), self.sleep)

    @property
    def keys(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.requests]


async def test_a_report_goes_to_its_own_api_with_the_key_of_the_target() -> None:
    ledger = FakeLedger()
    sender = ledger.sender()
    await sender.send(0, A_REPORT)
    (request,) = ledger.requests
    assert str(request.url) == "http://ledger.test/api/v1/report"
    assert request.content == A_REPORT.body
    assert request.headers["authorization"] == "Bearer the-key"
    assert request.headers["x-pezzo-project-id"] == "shop"
    assert sender.tally.calls == {"openpipe": 1}


async def test_an_update_names_the_entry_that_was_made_and_has_a_key_of_its_own() -> None:
    ledger = FakeLedger()
    sender = ledger.sender()
    await sender.send(3, AN_ENTRY)
    insert, update = ledger.requests
    assert update.url.path == "/api/logs/update"
    assert json.loads(update.content) == {"id": "entry-1", "update_data": {"cost": 0.5}}
    assert ledger.keys == ["run-1-3", "run-1-3-update"]
    assert (insert.url.path, sender.tally.updates) == ("/api/logs/insert", 1)


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(429), httpx.ReadTimeout("slow"), httpx.ConnectError("away")]
)
async def test_what_was_not_confirmed_is_sent_again_under_the_same_idempotency_key(answer: Answer) -> None:
    ledger = FakeLedger([answer, answer])
    sender = ledger.sender()
    await sender.send(5, A_REPORT)
    assert ledger.keys == ["run-1-5"] * 3
    assert {request.content for request in ledger.requests} == {A_REPORT.body}
    assert (sender.tally.accepted, sender.tally.repetitions) == (1, 2)


async def test_waits_double_up_to_the_longest_and_respect_what_the_server_asks_for() -> None:
    asked = httpx.Response(503, headers={"Retry-After": "3"})
    ledger = FakeLedger([httpx.Response(503), httpx.Response(503), asked, *[httpx.Response(503) for _ in range(4)]])
    await ledger.sender().send(0, A_REPORT)
    assert ledger.waits == [0.2, 0.4, 3.0, 1.6, 3.2, 5.0, 5.0]


async def test_a_ledger_that_stays_away_ends_the_demo_with_advice() -> None:
    ledger = FakeLedger([httpx.ConnectError("refused")] * 3)
    with pytest.raises(NotAccepted, match=r"does not answer.*--url"):
        await ledger.sender(Patience(attempts=3)).send(0, A_REPORT)
    assert len(ledger.requests) == 3


async def test_a_refusal_is_not_repeated() -> None:
    ledger = FakeLedger([httpx.Response(400, text="bad field")])
    with pytest.raises(NotAccepted, match="400 bad field"):
        await ledger.sender().send(0, A_REPORT)
    assert len(ledger.requests) == 1


async def test_the_check_waits_until_a_new_key_is_in_force() -> None:
    ledger = FakeLedger([httpx.Response(401)] * 5)
    await ledger.sender().check()
    assert len(ledger.requests) == 6
    assert sum(ledger.waits) < 2


@pytest.mark.parametrize(
    ("answers", "advice"),
    [
        ([httpx.Response(401, text="Invalid Pezzo Project ID")] * 99, "--project"),
        ([httpx.ConnectError("refused")], "Is LLM Ledger running there"),
        ([httpx.Response(404)], "Is it an LLM Ledger"),
        ([httpx.Response(503, text="away")] * 99, "is not accepting"),
    ],
)
async def test_a_target_that_cannot_work_is_found_before_anything_is_sent(answers: list[Answer], advice: str) -> None:
    ledger = FakeLedger(answers)
    with pytest.raises(NotAccepted, match=advice):
        await ledger.sender().check()
    assert {request.url.path for request in ledger.requests} == {"/api/cache/v1/request/retrieve"}


async def test_an_address_that_is_none_is_a_failure_with_advice() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(FakeLedger()))
    sender = Sender(client, Target("http://ledger.test:port", "k", "p"), "run", Patience())
    with pytest.raises(NotAccepted, match="--url"):
        await sender.check()


async def test_all_reports_are_sent_once_though_many_are_under_way_at_a_time() -> None:
    ledger = FakeLedger()
    await send_all(ledger.sender(), iter([A_REPORT] * 100), rate=1e6)
    assert sorted(ledger.keys) == sorted(f"run-1-{number}" for number in range(100))


async def test_no_report_is_sent_before_its_time() -> None:
    ledger = FakeLedger()
    started = asyncio.get_running_loop().time()
    await send_all(ledger.sender(), iter([A_REPORT] * 11), rate=100)
    assert asyncio.get_running_loop().time() - started >= 0.1


async def test_the_first_failure_ends_the_sending_and_no_more_is_made() -> None:
    made: list[int] = []

    def endless(note: Callable[[int], None]) -> Iterator[Report]:
        number = 0
        while True:
            note(number)
            yield A_REPORT
            number += 1

    ledger = FakeLedger([httpx.Response(400)])
    with pytest.raises(NotAccepted, match="400"):
        await send_all(ledger.sender(), endless(made.append), rate=1e6)
    assert len(made) < 1000
