"""What an engine refuses while it runs, or because it does not: calls, groups, handles, operators' words, letters."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import backburner
from backburner.errors import BackburnerError
from backburner.events.carrying import CARRIED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

bb: Any = backburner

ID = "01m80000000000000000000000"
PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


class App:
    """An engine in memory, and jobs of it."""

    def __init__(self, **options: object) -> None:
        self.bb = bb.Backburner("memory://", **options)
        self.send = self.bb.job(send)
        self.fail = self.bb.job(fail)
        self.answer: Any = self.bb.job(retry=patient)(answer)
        self.held = self.bb.job(concurrency=2, retry=patient, breaker="stripe", budget=bb.Budget("retries"))(held)
        self.bb.cron("0 9 * * *", name="daily")(self.held)
        self.bb.on("job.dead", name="tell")(told)


patient = bb.RetryPolicy(name="patient", attempts=1, backoff=bb.constant(0))


async def send(to: str, cc: int = 0) -> None:
    """Do nothing."""


async def fail() -> None:
    """Be a dead letter."""
    raise bb.Reject("no such address")


async def answer(what: str) -> Any:  # noqa: ANN401 - whatever cannot be stored
    """Answer what cannot be stored, or takes too much room."""
    return {"object": object(), "large": "x" * 2_000_000, "set": {1, 2}}[what]


async def held() -> None:
    """Do nothing."""


async def told(event: backburner.Event) -> None:
    """Do nothing."""


async def stranger() -> None:
    """Be of no engine."""


@asynccontextmanager
async def broken() -> AsyncIterator[None]:
    """Fail to open."""
    raise OSError("no route to host")
    yield


def running(use: Callable[[App], Coroutine[Any, Any, object]], **options: object) -> Callable[[], object]:
    """Use an engine that runs."""

    async def case() -> object:
        app = App(**options)
        async with app.bb:
            return await use(app)

    return case


def inside(use: Callable[[App], Coroutine[Any, Any, object]]) -> Callable[[], object]:
    """Use an engine inside one of its jobs."""

    async def case() -> object:
        app = App()
        raised: list[BackburnerError] = []

        async def work() -> None:
            try:
                await use(app)
            except BackburnerError as error:
                raised.append(error)

        job = app.bb.job(work)
        async with app.bb:
            await (await app.bb.create_task(job()))
        return raised[0] if raised else None

    return case


def storing(*args: object, **options: object) -> Callable[[], object]:
    """Store a call with these options."""
    return running(lambda app: app.bb.create_task(app.send(*(args or ("ada",))), **options))


async def ended(app: App, call: Any) -> str:  # noqa: ANN401 - a call
    """Store a call, wait for its end, and return its id."""
    handle = await app.bb.create_task(call)
    await handle.wait()
    return str(handle.id)


async def awaited(app: App, call: Any, **options: object) -> object:  # noqa: ANN401 - a call
    """Store a call and await it."""
    return await (await app.bb.create_task(call, **options))


async def cancelled(app: App) -> object:
    """Await a job that was cancelled."""
    handle = await app.bb.create_task(app.send("ada"), delay=3600)
    await handle.cancel()
    return await handle


async def expired(app: App) -> object:
    """Await a job that expired."""
    await app.bb.queues.pause("default")
    handle = await app.bb.create_task(app.send("ada"), expires=0)
    await app.bb.queues.resume("default")
    return await handle


async def unknown(app: App) -> object:
    """Await a job that the store has not."""
    return await app.bb.handle(ID, app.send)


async def group_twice(app: App) -> object:
    """Enter a group twice."""
    group = app.bb.TaskGroup()
    async with group:
        pass
    return await group.__aenter__()


async def group_after(app: App) -> object:
    """Store in a group that has ended."""
    async with app.bb.TaskGroup() as group:
        pass
    return group.create_task(app.send("ada"))


async def group_tx(app: App) -> object:
    """Give a transaction to one job of a group."""
    async with app.bb.TaskGroup() as group:
        try:
            return group.create_task(app.send("ada"), tx=5)
        except BackburnerError as error:
            return error


async def lock_twice(app: App) -> object:
    """Enter a lock twice."""
    lock = app.bb.lock("report")
    async with lock:
        return await lock.try_acquire()


async def lock_held(app: App) -> object:
    """Wait for a lock that another has."""
    async with app.bb.lock("report"):
        return await app.bb.lock("report", timeout=0.01).acquire()


async def read(app: App, *names: str, **options: object) -> object:
    """Read events."""
    return await anext(app.bb.events(*names, **options))


async def letter(app: App, **options: object) -> object:
    """Replay a dead letter."""
    return await app.bb.dlq.replay(ids=await ended(app, app.fail()), **options)


async def purged(app: App) -> object:
    """Watch a replay that is none."""
    return await app.bb.dlq.replays.get(ID)


async def exported(app: App) -> object:
    """Write letters in an unknown way."""
    return await anext(app.bb.dlq.export(secrets="show"))


async def imported(app: App, text: str) -> object:
    """Read letters from a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "letters.jsonl")
        await asyncio.to_thread(file.write_text, text)
        return await app.bb.dlq.import_(file)


async def blocked(app: App) -> object:
    """Store on the loop as if it were a thread."""
    return app.bb.blocking.create_task(app.send("ada"))


async def threaded(app: App, use: Callable[[App], object]) -> object:
    """Use an engine from a thread."""
    return await asyncio.to_thread(use, app)


async def elsewhere(app: App, use: Callable[[App], Coroutine[Any, Any, object]]) -> object:
    """Use an engine on another loop than its own."""
    return await asyncio.to_thread(asyncio.run, use(app))


async def put(app: App, name: str, trigger: object, **options: object) -> object:
    """Put a schedule."""
    return await app.bb.schedules.put(name, trigger, app.send("ada"), **options)


async def ticks(app: App) -> object:
    """Ask for ticks of an outcome that there is not."""
    return await anext(app.bb.schedules.ticks("daily", outcome="missed"))


def ctx() -> Any:  # noqa: ANN401 - the context of the job that runs
    """Return the job that runs."""
    return bb.current_job()


async def then(app: App, **options: object) -> object:
    """Note a follow-up."""
    return ctx().then(app.send("ada"), **options)


def headed(headers: object) -> Callable[[], object]:
    """Store a job with headers that cannot be."""
    return running(lambda app: app.bb.create_task(app.send("ada")), headers=lambda: headers)


CALLS = [
    lambda: App().bb.create_task(App().send("ada")),
    running(lambda app: app.bb.create_task(app.send)),
    running(lambda app: app.bb.create_task(send("ada"))),
    running(lambda app: app.bb.create_task(5)),
    running(lambda app: app.bb.create_tasks(app.send("ada"))),
    running(lambda app: app.bb.create_tasks(5)),
    running(lambda app: app.bb.create_tasks([app.send("ada")], id=ID)),
    running(lambda app: app.bb.create_task(bb.Backburner("memory://").job(stranger)())),
    running(lambda app: app.bb.__aenter__()),
    storing(object()),
    storing("ada", object()),
    storing("x" * 2_000_000),
    storing(delay=5, at=FUTURE),
    storing(at=PAST.replace(tzinfo=None)),
    storing(at="tomorrow"),
    storing(nmae="mail"),
    storing(name="first"),
    storing(id="a\0b"),
    storing(unique=True),
    storing(priority=11),
    storing(tags="weekly"),
    storing(retry=bb.RetryPolicy(name="r", attempts=1, backoff=bb.constant(0), retry=ValueError)),
    storing(tx=5),
    headed(["a"]),
    headed({"a": 5}),
    headed({"a": "\0"}),
    headed({"a": "\ud800"}),
    headed({"a": "b" * 10_000}),
    inside(lambda app: app.bb.create_task(app.send("ada"), id=ID, name="first")),
    inside(lambda app: then(app, id=ID, tx=5)),
    inside(lambda _: ctx().progress(-1, 5)),
    inside(lambda _: ctx().checkpoint(object())),
    inside(lambda _: ctx().complete(None, tx=5)),
    lambda: App().bb.state,
]
ENDS = [
    running(lambda app: awaited(app, app.fail())),
    running(lambda app: awaited(app, app.answer("object"))),
    running(lambda app: awaited(app, app.answer("large"))),
    running(lambda app: awaited(app, app.answer("set"))),
    running(cancelled),
    running(expired),
    running(lambda app: app.bb.handle(ID, app.send).status()),
    running(lambda app: app.bb.handle(ID, app.send).cancel()),
    running(unknown),
    running(lambda app: app.bb.handle(5, app.send).wait()),
    running(lambda app: app.bb.handle(ID, send).wait()),
    running(lambda app: app.bb.why(ID)),
    running(group_twice),
    running(group_after),
    running(group_tx),
    running(lock_twice),
    running(lock_held),
    lambda: App().bb.lock("report").token,
    lambda: App().bb.lock("report", lease=0.1),
    lambda: App().bb.lock(""),
    running(blocked),
    running(lambda app: threaded(app, lambda app: app.bb.blocking.result(5))),
    running(lambda app: threaded(app, lambda app: app.bb.blocking.create_task(5))),
    running(lambda app: elsewhere(app, lambda app: app.bb.create_task(app.send("ada")))),
    running(lambda app: elsewhere(app, lambda app: app.bb.publish("order.paid"))),
    lambda: bb.Backburner("memory://").blocking.create_task(5),
    running(lambda app: app.bb.drain(), lifespan=broken),
]
EVENTS = [
    running(lambda app: app.bb.publish("order paid")),
    running(lambda app: app.bb.publish("job.dead")),
    running(lambda app: app.bb.publish("order.paid", [1])),
    running(lambda app: app.bb.publish("order.paid", {"a": object()})),
    running(lambda app: app.bb.publish("order.paid", {CARRIED: {}})),
    running(lambda app: app.bb.publish("order.paid", id="")),
    running(lambda app: app.bb.publish("order.paid", subject="a\0")),
    running(lambda app: read(app, after="first")),
    running(lambda app: read(app, after="abc-9")),
    running(lambda app: read(app, "job.deda")),
    running(lambda app: read(app, subscription="tell")),
]
OPERATING = [
    running(lambda app: app.bb.queues.set("mail")),
    running(lambda app: app.bb.queues.set("mail", slots=0)),
    running(lambda app: app.bb.queues.set("mail", rate="often")),
    running(lambda app: app.bb.queues.pause("mail", until="tomorrow")),
    running(lambda app: app.bb.queues.pause("")),
    running(lambda app: app.bb.limits.set("concurrency:heldd", slots=1)),
    running(lambda app: app.bb.limits.set("concurrency:held")),
    running(lambda app: app.bb.limits.set("concurrency:held", slots=-1)),
    running(lambda app: app.bb.limits.set("breaker:stripe", slots=1)),
    running(lambda app: app.bb.limits.set("budget:retries", rate="5/s fixed")),
    running(lambda app: app.bb.breakers.open("strype")),
    running(lambda app: app.bb.schedules.get("weekly")),
    running(lambda app: put(app, "", bb.Every(hours=1))),
    running(lambda app: put(app, "x" * 120, bb.Every(hours=1))),
    running(lambda app: put(app, "daily", bb.Every(hours=1))),
    running(lambda app: put(app, "once", bb.At(PAST))),
    running(lambda app: put(app, "often", "0 9 * * *")),
    running(lambda app: app.bb.schedules.put("x", bb.Every(hours=1), app.send)),
    running(lambda app: app.bb.schedules.put("x", bb.Every(hours=1), app.send.options(id=ID)("ada"))),
    running(lambda app: app.bb.schedules.remove("daily")),
    running(lambda app: app.bb.schedules.pause("daily", until=PAST)),
    running(lambda app: app.bb.schedules.preview("daily", count=0)),
    running(lambda app: app.bb.schedules.backfill("daily", since=FUTURE, until=FUTURE)),
    running(lambda app: app.bb.schedules.backfill("daily", since=PAST, until=PAST + timedelta(1), limit=0)),
    running(lambda app: app.bb.schedules.backfill("daily", since=PAST, until=PAST + timedelta(99), limit=5)),
    running(ticks),
]
LETTERS = [
    running(lambda app: app.bb.dlq.get(ID)),
    running(lambda app: app.bb.dlq.groups(limit=0)),
    running(lambda app: app.bb.dlq.survey(knid="send")),
    running(lambda app: app.bb.dlq.survey(kind=None)),
    running(lambda app: app.bb.dlq.survey(kind=[])),
    running(lambda app: app.bb.dlq.survey(error=5)),
    running(lambda app: app.bb.dlq.survey(where="args.user")),
    running(lambda app: app.bb.dlq.survey(since=PAST.replace(tzinfo=None))),
    running(lambda app: app.bb.dlq.replay()),
    running(lambda app: app.bb.dlq.replay(all=True)),
    running(lambda app: app.bb.dlq.replay(ids=[str(n) for n in range(1001)])),
    running(lambda app: letter(app, attempts=0)),
    running(lambda app: letter(app, stop_at=2)),
    running(lambda app: letter(app, pace="fast")),
    running(lambda app: letter(app, set={"to": object()})),
    running(lambda app: letter(app, set={"to": 5})),
    running(purged),
    running(exported),
    running(lambda app: imported(app, "")),
    running(lambda app: imported(app, "hello\n")),
    running(lambda app: imported(app, '{"format":"backburner.letters","version":1}\n{}\n')),
]
CASES: list[Callable[[], object]] = [*CALLS, *ENDS, *EVENTS, *OPERATING, *LETTERS]
