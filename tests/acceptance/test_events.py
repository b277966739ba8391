"""Events and their handlers, on every store: a job for each event and handler, whoever publishes, wherever it runs."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Event, Registry, RetryPolicy, constant, current_job
from backburner.errors import DeliveryRefused
from backburner.model.query import JobFilter
from backburner.sinks import callback, log
from tests.acceptance.crews import crew, records
from tests.acceptance.eventful import Told, seen, standing, unsubscribe
from tests.acceptance.gauge import Gauge, turn
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner import Backburner


async def settled(bb: Backburner, kind: str) -> None:
    """Wait until every job of a kind has ended."""

    async def look() -> bool:
        return all(
            job.state in {"completed", "cancelled", "dead"} for job in await records(bb, JobFilter(kinds=(kind,)))
        )

    await seen(look)


# ---- a job for each ------------------------------------------------------------------------------------------------


async def test_an_event_is_handled_by_a_job(bb: Backburner) -> None:
    """What was published is what the handler is given; its job is like any other, with its kind, its attempts, its end."""
    told = Told()

    @bb.on("order.paid")
    async def ship(event: Event) -> str:
        told.add(event)
        if current_job().attempt == 1:
            raise ConnectionError("tried again")
        return event.subject

    async with bb:
        event_id = await bb.publish("order.paid", {"total": 12.5, "items": ["tea", None]}, subject="order/42")
        first, again = await told.count(2)
        await settled(bb, "ship")
        (job,) = await records(bb, JobFilter(kinds=("ship",)))
        assert await bb.handle(job.id, ship) == "order/42"
        assert job.attempt == 2
    assert first == again
    assert (first.id, first.name, first.subject) == (event_id, "order.paid", "order/42")
    assert first.data == {"total": 12.5, "items": ["tea", None]}
    assert first.time.utcoffset() is not None


async def test_one_job_for_each_event_and_handler(make: Callable[..., Backburner]) -> None:
    """On two engines at once, whoever publishes: nothing is handled twice, and nothing by nobody."""
    jobs, runs = Registry(), Counter[tuple[str, int]]()
    every = Told()

    @jobs.on("order.paid", "order.sent")
    async def ship(event: Event) -> None:
        runs["ship", event.data["number"]] += 1
        every.add(event)

    @jobs.on("order.*")
    def count(event: Event) -> None:
        runs["count", event.data["number"]] += 1

    async with crew(make, jobs) as engines:
        for first in range(0, 120, 20):
            await asyncio.gather(
                *(
                    engines[number % len(engines)].publish("order.paid", {"number": number})
                    for number in range(first, first + 20)
                )
            )
        await every.count(120)

        async def all_stored() -> bool:
            return len(await records(engines[0], JobFilter())) == 240

        await seen(all_stored)
        await settled(engines[0], "count")
        assert len(await records(engines[0], JobFilter())) == 240
    assert runs == {(kind, number): 1 for kind in ("ship", "count") for number in range(120)}


async def test_what_fails_is_a_dead_letter_and_holds_nothing_up(bb: Backburner) -> None:
    """A handler that raises fails its own job; the events behind, and other handlers, are not concerned."""
    told, other = Told(), Told()

    @bb.on("order.*")
    async def fragile(event: Event) -> None:
        if event.data["number"] == 1:
            raise ValueError("no such order")
        told.add(event)

    @bb.on("order.*")
    async def sound(event: Event) -> None:
        other.add(event)

    async with bb:
        for number in range(3):
            await bb.publish("order.paid", {"number": number})
        await told.count(2)
        await other.count(3)
        await settled(bb, "fragile")
        (letter,) = [letter async for letter in bb.dlq.find()]
        assert letter.kind == "fragile"
    assert sorted(told.numbers) == [0, 2]
    assert sorted(other.numbers) == [0, 1, 2]


async def test_events_of_one_subject_in_order(make: Callable[..., Backburner]) -> None:
    """Two engines with room for all: of one subject the next begins when the last has ended; others run beside."""
    jobs, gauge, orders = Registry(), Gauge(), defaultdict[str, list[int]](list)
    told = Told()

    @jobs.on("order.*")
    async def follow(event: Event) -> None:
        with gauge.run(event.subject), gauge.run():
            orders[event.subject].append(event.data["number"])
            await turn(0.002 if event.data["number"] % 3 else 0)
        told.add(event)

    async with crew(make, jobs) as engines:
        for number in range(15):
            publishing = (engines[0].publish("order.changed", {"number": number}, subject=each) for each in "abcd")
            await asyncio.gather(*publishing)
        await told.count(60)
    assert orders == {subject: [*range(15)] for subject in "abcd"}
    assert {gauge.most[subject] for subject in "abcd"} == {1}
    assert gauge.most[""] > 1


async def test_one_that_is_retried_lets_the_next_by(make: Callable[..., Backburner]) -> None:
    """An order that waits for its retry does not hold up what happens to it next."""
    bb, told = make(), Told()

    @bb.on("order.*", name="shipping")
    @bb.job(retry=RetryPolicy(attempts=5, backoff=constant(3600)))
    async def ship(event: Event) -> None:
        told.add(event)
        if event.name == "order.paid":
            raise ConnectionError

    async with bb:
        for name in ("order.paid", "order.sent"):
            await bb.publish(name, subject="order/1")
        await told.count(2)
    assert told.names == ["order.paid", "order.sent"]


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_events_are_kept_while_nobody_runs(make: Callable[..., Backburner]) -> None:
    """Once a handler was there, also on an engine that only stores, what it asks for waits for it."""
    told = Told()

    def engine(**options: Any) -> Backburner:  # noqa: ANN401 - whatever an engine takes
        bb = make(**options)

        @bb.on("order.*")
        async def ship(event: Event) -> None:
            told.add(event)

        return bb

    async with engine(run=False) as bb:
        await bb.publish("order.paid", {"number": 1})
    async with make(run=False) as bb:
        await bb.publish("order.paid", {"number": 2})
        await bb.publish("parcel.sent")
        assert told.events == []
    async with engine():
        await told.count(2)
    async with engine() as bb:
        await bb.publish("order.paid", {"number": 3})
        await told.count(3)
    assert sorted(told.numbers) == [1, 2, 3]


async def test_what_is_asked_for(bb: Backburner) -> None:
    """A name, all below its front, all there is: a handler of several is given an event once."""
    told = defaultdict[str, Told](Told)

    def listen(kind: str, *names: str) -> None:
        @bb.on(*names)
        @bb.job(name=kind)
        async def handle(event: Event) -> None:
            told[kind].add(event)

    listen("one", "order.paid")
    listen("front", "order.*", "order.paid")
    listen("below", "order.item.*")
    listen("all", "*")
    async with bb:
        for name in ("order.paid", "order.item.added", "order", "orders.paid"):
            await bb.publish(name)
        await told["one"].count(1)
        await told["front"].count(2)
        await told["below"].count(1)
        await told["all"].of("orders.paid")
        await settled(bb, "all")
    assert told["one"].names == ["order.paid"]
    assert sorted(told["front"].names) == ["order.item.added", "order.paid"]
    assert told["below"].names == ["order.item.added"]
    assert {"order.paid", "order.item.added", "order", "orders.paid"} <= {*told["all"].names}


async def test_an_id_is_published_once(bb: Backburner) -> None:
    """A publisher that cannot know whether it was heard says it again."""
    told = Told()

    @bb.on("order.paid")
    async def ship(event: Event) -> None:
        told.add(event)

    async with bb:
        assert await bb.publish("order.paid", {"number": 1}, id="payment/7") == "payment/7"
        assert await bb.publish("order.paid", {"number": 2}, id="payment/7") == "payment/7"
        await bb.publish("order.paid", {"number": 3})
        await told.count(2)
        await settled(bb, "ship")
    assert sorted(told.numbers) == [1, 3]
    assert {event.id for event in told.events if event.data["number"] == 1} == {"payment/7"}


async def test_headers_are_not_asked_for_where_no_request_is(make: Callable[..., Backburner]) -> None:
    """What answers for a request alone is not called for handlers' jobs, and holds no event up."""
    told = Told()

    def headers() -> dict[str, str]:
        raise LookupError("there is no request")

    bb = make(headers=headers)

    @bb.on("order.*")
    async def ship(event: Event) -> None:
        told.add(event)

    async with bb:
        await bb.publish("order.paid", {"number": 1})
        await told.count(1)
    assert told.numbers == [1]


async def test_handlers_are_not_handed_what_handlers_cause(bb: Backburner) -> None:
    """Two that ask for everything about jobs are given those of other jobs, and end."""
    told, other = Told(), Told()

    @bb.on("job.*")
    async def watch(event: Event) -> None:
        told.add(event)

    @bb.on("*")
    async def archive(event: Event) -> None:
        other.add(event)

    @bb.job
    async def work() -> None: ...

    async with bb:
        for _ in range(2):
            await (await bb.create_task(work()))
        await told.count(6)

        async def all_heard() -> bool:
            return other.names.count("job.completed") == 2

        await seen(all_heard)
        await settled(bb, "watch")
        await settled(bb, "archive")
    assert Counter(told.names) == {"job.enqueued": 2, "job.claimed": 2, "job.completed": 2}
    assert {event.data["kind"] for event in [*told.events, *other.events] if event.name.startswith("job.")} == {"work"}


async def test_a_handler_that_comes_while_the_engine_runs(bb: Backburner) -> None:
    """It is entered at once, and its subjects keep their order like those of others."""
    told, gauge = Told(), Gauge()
    async with bb:

        @bb.on("order.*")
        async def ship(event: Event) -> None:
            with gauge.run(event.subject):
                await turn(0.002)
            told.add(event)

        async def known() -> bool:
            return [each.name for each in await standing(bb)] == ["ship"]

        await seen(known)
        for number in range(10):
            await bb.publish("order.paid", {"number": number}, subject="order/1")
        await told.count(10)
    assert told.numbers == [*range(10)]
    assert gauge.most == {"order/1": 1}


async def test_a_subscription_that_somebody_removed(bb: Backburner) -> None:
    """A handler that is still in code is entered anew: it goes on with what happens from then on."""
    told = Told()

    @bb.on("order.*")
    async def ship(event: Event) -> None:
        told.add(event)

    async with bb:
        await bb.publish("order.paid", {"number": 1})
        await told.count(1)
        await unsubscribe(bb, "ship")

        async def published() -> bool:
            await bb.publish("order.paid", {"number": 2})
            return len(told.events) > 1

        await seen(published)


async def test_long_names(bb: Backburner) -> None:
    """Kinds, subjects, names and ids may each be as long as names are."""
    told = Told()

    @bb.on(f"{'n' * 126}.*")
    @bb.job(name="k" * 128)
    async def ship(event: Event) -> None:
        told.add(event)

    async with bb:
        await bb.publish("n" * 126 + ".a", subject="ß" * 128, id="i" * 128)
        await told.count(1)


# ---- to sinks ------------------------------------------------------------------------------------------------------


async def test_sinks(make: Callable[..., Backburner], caplog: pytest.LogCaptureFixture) -> None:
    """`to=` sends each event once it may; what is refused for ever is a dead letter at once."""
    jobs, told = Registry("shop"), Told()

    async def send(event: Event) -> None:
        if event.data["number"] == 1:
            raise DeliveryRefused("410 Gone")
        told.add(event)

    jobs.on("order.*", to=callback(send, name="crm"))
    jobs.on("order.*", to=log("warning"))
    async with make(jobs=[jobs]) as bb:
        for number in range(3):
            await bb.publish("order.paid", {"number": number})
        await told.count(2)
        await settled(bb, "shop.crm")
        await settled(bb, "shop.log:warning")
        (letter,) = [letter async for letter in bb.dlq.find()]
        assert (letter.kind, letter.attempt) == ("shop.crm", 1)
        assert "410 Gone" in str(letter)
    assert sorted(told.numbers) == [0, 2]
    assert [record.levelname for record in caplog.records if record.name == "backburner.events"] == ["WARNING"] * 3
