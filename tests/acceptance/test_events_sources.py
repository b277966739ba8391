"""What the engine itself tells: of jobs, schedules, breakers, nodes, and of what people do; to subscriptions and listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner import Breaker, Cancel, Event, Registry, RetryPolicy, Snooze, constant, current_job
from backburner.errors import BackburnerError
from tests.acceptance.eventful import Told, reading, standing
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner import Backburner

#: Of a job that does all that a job can do, and then dies.
LIFE = [
    *("job.enqueued", "job.claimed", "job.snoozed", "job.claimed", "job.retry", "job.claimed", "job.dead"),
    *("job.replayed", "job.claimed", "job.completed"),
]


async def test_the_life_of_a_job(bb: Backburner) -> None:
    """Each change is told once, in order, under the job's id; a listener in the process hears the same of what it did."""
    heard = Told()

    @bb.job(retry=RetryPolicy(attempts=2, backoff=constant(0.001)))
    async def work() -> str:
        match current_job().attempt:
            case 1:
                raise Snooze(0.001)
            case 2 | 3:
                raise ConnectionError("503")
            case _:
                return "done"

    @bb.job
    async def give_up() -> None:
        raise Cancel("not wanted")

    bb.listen("job.*")(heard.add)
    async with bb, reading(bb, "job.*", "operation.*") as told:
        handle = await bb.create_task(work())
        await told.of("job.dead", handle.id)
        await bb.dlq.replay(ids=handle.id, reason="mended", by="ada")
        await told.of("job.completed", handle.id)
        other = await bb.create_task(give_up())
        cancelled = await told.of("job.cancelled", other.id)
        ended = await told.of("operation.ended")
        events = [event for event in told.events if event.subject == handle.id]
    assert [event.name for event in events] == LIFE
    assert {(event.data["kind"], event.data["queue"]) for event in events} == {("work", "default")}
    retried = events[4]
    assert {"node", "error", "message", "fingerprint", "delay"} < retried.data.keys()
    assert cancelled.data["reason"] == "not wanted"
    assert ended.data["done"] == 1
    here = [event.name for event in heard.events if event.subject == handle.id]
    # That of the replay was no doing of a run here.
    assert here == [name for name in LIFE if name != "job.replayed"]


async def test_what_people_do(bb: Backburner) -> None:
    """It is kept whether or not anybody asks, with who did it and why."""

    @bb.job(queue="mail", breaker=Breaker("smtp"), concurrency=2)
    async def send() -> None: ...

    async with bb:
        assert await standing(bb) == []
        async with reading(bb, "probe") as probe:
            await bb.publish("probe")
            start = (await probe.count(1))[0].cursor
        await bb.queues.pause("mail", reason="INC-7", by="ada")
        await bb.queues.resume("mail", by="ada")
        await bb.queues.set("mail", slots=3, by="ada")
        await bb.kinds.pause("send", reason="INC-7", by="ada")
        await bb.kinds.resume("send", by="ada")
        await bb.limits.set("concurrency:send", slots=1, by="ada")
        await bb.limits.reset("concurrency:send", by="ada")
        await bb.breakers.open("smtp", by="ada")
        await bb.breakers.auto("smtp", by="ada")
        async with reading(bb, "operator.*", after=start) as told:
            events = await told.count(9)
    assert [(event.name.removeprefix("operator."), event.subject) for event in events] == [
        ("queue.paused", "mail"),
        ("queue.resumed", "mail"),
        ("queue.set", "mail"),
        ("kind.paused", "send"),
        ("kind.resumed", "send"),
        ("limit.set", "concurrency:send"),
        ("limit.reset", "concurrency:send"),
        ("breaker.opened", "smtp"),
        ("breaker.auto", "smtp"),
    ]
    assert {event.data["by"] for event in events} == {"ada"}
    assert events[0].data["reason"] == "INC-7"


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_schedules_breakers_and_nodes(make: Callable[..., Backburner]) -> None:
    """They arrive in another engine than the one that caused them; a listener there hears nothing."""
    jobs, heard = Registry(), Told()

    @jobs.every(seconds=0.05, overlap="allow")
    async def tick() -> None: ...

    @jobs.job(breaker=Breaker("payments", calls=2, open=constant(60)), retry="none")
    async def charge() -> None:
        raise ConnectionError("503")

    watching = make(run=False)
    watching.listen("*")(heard.add)
    async with watching, reading(watching, "schedule.*", "breaker.*", "node.*", "operator.*") as told:
        async with make(jobs=[jobs]) as bb:
            joined = await told.of("node.joined")
            await told.of("schedule.declared", "tick")
            fired = await told.of("schedule.fired", "tick")
            await bb.schedules.pause("tick", reason="enough", by="ada")
            paused = await told.of("operator.schedule.paused", "tick")
            await bb.create_tasks([charge() for _ in range(5)])
            await told.of("breaker.opened", "payments")
        left = await told.of("node.left", joined.subject)
    assert fired.data["job"]
    assert paused.data == {"by": "ada", "reason": "enough"}
    assert joined.data["host"] == left.data["host"]
    assert heard.events == []


async def test_listeners(bb: Backburner) -> None:
    """They hear what this process publishes, in order, for nothing: nothing is stored. What one raises harms nobody."""
    heard, all_heard = Told(), Told()

    @bb.listen("order.*")
    def broken(event: Event) -> None:
        raise ValueError(event.name)

    assert bb.listen("order.paid", "parcel.*")(heard.add) == heard.add
    bb.listen("*")(all_heard.add)
    async with bb:
        for number, name in enumerate(("order.paid", "order.sent")):
            await bb.publish(name, {"number": number})
        event_id = await bb.publish("parcel.sent", {"number": 2}, subject="order/1")
        async with reading(bb, "probe") as told:
            await bb.publish("probe")
            (probe,) = await told.count(1)
        assert probe.cursor.endswith("-1")
    assert heard.names == ["order.paid", "parcel.sent"]
    assert heard.numbers == [0, 2]
    last = heard.events[-1]
    assert (last.id, last.subject, last.cursor) == (event_id, "order/1", "")
    assert [name for name in all_heard.names if "." in name and name.partition(".")[0] in {"order", "parcel"}] == [
        "order.paid",
        "order.sent",
        "parcel.sent",
    ]


async def test_what_a_listener_raises_is_told_to_the_log(bb: Backburner, caplog: pytest.LogCaptureFixture) -> None:
    """The publisher does not notice."""

    @bb.listen("order.*")
    def broken(event: Event) -> None:
        raise BackburnerError(event.name)

    async with bb:
        await bb.publish("order.paid")
    assert [record.message for record in caplog.records if record.name == "backburner.events"] == [
        "a listener raised on order.paid; the others hear it"
    ]
