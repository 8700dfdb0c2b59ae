"""The cache is bounded and mixes nothing up; work under way is shared, and ends when nobody waits for it."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.aggregates.cache import AggregateCache, CacheLimits, Name
from query_api.aggregates.flights import Flights
from query_api.aggregates.groups import first_of, order_of
from query_api.aggregates.partials import Partial, Widths, partial_from
from query_api.aggregates.parts import Part, Parts, tables_read
from query_api.aggregates.spans import Period

MARCH, APRIL = Period(0, 10), Period(10, 20)


def a_partial(size: int = 1) -> Partial:
    return Partial(((),), np.zeros((1, size), np.int64), np.zeros((1, 0), np.int64))


def test_what_is_kept_is_found_only_for_its_question_unit_and_parts() -> None:
    cache, partial = AggregateCache(), a_partial()
    cache.put(Name("count", MARCH, b"1"), partial)
    assert cache.get(Name("count", MARCH, b"1")) is partial
    for other in (Name("count", MARCH, b"2"), Name("count", APRIL, b"1"), Name("other", MARCH, b"1")):
        assert cache.get(other) is None


def test_what_was_not_used_for_longest_goes_first_and_the_bound_holds() -> None:
    cache = AggregateCache(CacheLimits(max_bytes=3 * 2000))
    names = [Name(f"question {number}", MARCH, b"") for number in range(4)]
    for name in names[:3]:
        cache.put(name, a_partial(100))
    assert cache.get(names[0]) is not None
    cache.put(names[3], a_partial(100))
    assert [cache.get(name) is not None for name in names] == [True, False, True, True]
    assert cache.nbytes <= 6000
    cache.put(names[0], a_partial(10_000))
    assert cache.get(names[0]) is None
    assert cache.nbytes <= 4000


def test_a_newer_aggregate_of_a_unit_takes_the_place_of_the_older() -> None:
    cache = AggregateCache()
    cache.put(Name("count", MARCH, b"1"), a_partial())
    before = cache.nbytes
    cache.put(Name("count", MARCH, b"2"), a_partial())
    assert cache.nbytes == before
    assert cache.get(Name("count", MARCH, b"1")) is None


def test_texts_of_clients_count_in_full_against_the_bound() -> None:
    text = "\U0001f600" * 10_000
    partial = partial_from([(f"{text}{number}", None, number, 1) for number in range(3)], Widths(3, 1, 0, False))
    assert partial.nbytes > 3 * len(text.encode())
    cache = AggregateCache(CacheLimits(max_bytes=2 * partial.nbytes))
    for month in (MARCH, APRIL):
        cache.put(Name("users", month, b""), partial)
    assert cache.get(Name("users", MARCH, b"")) is None
    empty = AggregateCache()
    empty.put(Name(text, MARCH, b""), a_partial())
    assert empty.nbytes > len(text.encode())


def test_parts_are_told_apart_by_table_name_content_and_server() -> None:
    part = Part("request_logs", "202603_1_1_0", "abc", MARCH)
    variants = [
        Parts("a", False, (part,)),
        Parts("b", False, (part,)),
        Parts("a", False, ()),
        Parts("a", False, (Part("request_bodies", part.name, part.hash, MARCH),)),
        Parts("a", False, (Part(part.table, "202603_1_1_1", part.hash, MARCH),)),
        Parts("a", False, (Part(part.table, part.name, "abd", MARCH),)),
    ]
    assert len({parts.fingerprint(MARCH) for parts in variants}) == len(variants)
    assert len({parts.fingerprint(APRIL) for parts in variants}) == 2  # only the servers differ


def test_a_statement_on_a_replicated_table_counts_only_when_the_same_server_told_it() -> None:
    one, replicated = Parts("a", False, ()), Parts("a", True, ())
    assert one.are_of(["b"])
    assert replicated.are_of(["a"])
    assert not replicated.are_of(["b"])
    assert not replicated.are_of(["a", "b"])
    assert not replicated.are_of([])


def test_the_tables_of_a_statement_are_those_it_reads_from() -> None:
    sql = "project = {p1:String} AND id IN (SELECT id FROM request_bodies FINAL WHERE 1) AND x = 'FROM'"
    assert tables_read(sql) == {"request_bodies"}


async def test_work_is_shared_and_its_outcome_reaches_everybody() -> None:
    flights, may_end, begun = Flights[str, int](), asyncio.Event(), []

    async def work() -> int:
        begun.append(1)
        await may_end.wait()
        return 7

    flight = flights.start(["a", "b"], work())
    assert flights.find("a") is flight is flights.find("b")
    waiting = [asyncio.create_task(flights.landed(flight)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    may_end.set()
    assert await asyncio.gather(*waiting) == [7, 7]
    assert begun == [1]
    assert flights.find("a") is None


async def test_work_that_nobody_waits_for_any_more_ends() -> None:
    flights, ended = Flights[str, int](), asyncio.Event()

    async def work() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    waiting = asyncio.create_task(flights.landed(flights.start(["a"], work())))
    for _ in range(3):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(ended.wait(), 10)
    assert flights.find("a") is None


async def test_a_failure_reaches_whoever_waits() -> None:
    async def fail() -> int:
        raise ValueError("no")

    flights = Flights[str, int]()
    with pytest.raises(ValueError, match="no"):
        await flights.landed(flights.start(["a"], fail()))
    assert flights.find("a") is None


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.sampled_from("abcdefgh")), unique_by=lambda pair: pair[1]))
def test_the_first_groups_are_those_of_the_whole_order(pairs: list[tuple[int, str | None]]) -> None:
    whole = sorted(((requests, (key,)) for requests, key in pairs), key=lambda pair: order_of(*pair))
    for limit in (1, 2, 5, 100):
        assert first_of([requests for requests, _ in pairs], [(key,) for _, key in pairs], limit) == whole[:limit]
