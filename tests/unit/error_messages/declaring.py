"""Jobs, what they need, and handlers that are refused where they are declared, or where a call of one is made."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import backburner
from backburner import sinks
from backburner.jobs.process_place import place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

bb: Any = backburner


def engine(**options: object) -> Any:  # noqa: ANN401 - what is wrong on purpose is not for a type checker
    """Make an engine."""
    return bb.Backburner("memory://", **options)


async def send(to: str, cc: int = 0) -> None:
    """Do nothing."""


def work() -> None:
    """Do nothing."""


async def stream() -> AsyncIterator[int]:
    """Yield something."""
    yield 1


async def told(event: backburner.Event) -> None:
    """Do nothing."""


async def other(a: int, b: int) -> None:
    """Do nothing."""


class Mailer:
    """Has a method."""

    async def mail(self) -> None:
        """Do nothing."""


def factory() -> Iterator[int]:
    """Make something."""
    yield 1


def greedy(missing: int) -> int:
    """Need what nobody gives."""
    return missing


def hen(egg: int = bb.Provide(lambda: 1)) -> int:
    """Need an egg."""
    return egg


def job(**options: object) -> Callable[[], object]:
    """Declare a job with these options."""
    return lambda: engine().job(**options)(send)


def needing(value: object) -> Callable[[], object]:
    """Declare a job that is provided this."""

    def declare() -> object:
        async def needy(it: object = value) -> None: ...

        return engine().job(needy)

    return declare


def positional() -> object:
    """Declare a job that takes what it is provided by position alone."""

    async def needy(it: int = bb.Provide(factory), /) -> None: ...

    return engine().job(needy)


def circle() -> object:
    """Declare a job whose dependencies need one another."""

    def egg(hen: int) -> int:
        return hen

    def chicken(egg: int = bb.Provide(egg)) -> int:
        return egg

    egg.__defaults__ = (bb.Provide(chicken),)

    async def needy(it: int = bb.Provide(egg)) -> None: ...

    return engine().job(needy)


def too_late() -> object:
    """Declare a def job whose async factory needs what is opened in the thread."""

    async def session(number: int = bb.Provide(factory)) -> AsyncIterator[int]:
        yield number

    def needy(it: int = bb.Provide(session)) -> None: ...

    return engine().job(needy)


def called(*args: object, **kwargs: object) -> Callable[[], object]:
    """Call a job."""
    return lambda: engine().job(send)(*args, **kwargs)


def twice() -> object:
    """Declare two jobs of one kind."""
    app = engine()
    app.job(name="mail")(send)
    return app.job(name="mail")(other)


def schedules_twice() -> object:
    """Declare two schedules of one name."""
    app = engine()
    app.cron("0 9 * * *", name="daily")(work)
    return app.cron("0 9 * * *", name="daily")(app.job(other)(1, 2))


def subscribed_twice() -> object:
    """Declare two handlers of one name."""
    app = engine()
    app.on("job.dead", name="tell")(told)
    return app.on("job.completed", name="tell")(app.job(name="again")(told))


def sinks_twice() -> object:
    """Send to two sinks of one name."""
    app = engine()
    app.on("job.dead", to=sinks.callback(told, name="tell"))
    return app.on("job.completed", to=sinks.callback(told, name="tell"))


def policies_twice() -> object:
    """Declare two breakers of one name."""
    app = engine()
    app.job(breaker=bb.Breaker("stripe", calls=5))(send)
    return app.job(breaker=bb.Breaker("stripe", calls=6))(other)


def alerts_twice() -> object:
    """Declare two alerts of one name."""
    app = engine()
    app.alert("dlq.count > 5", name="dead")
    return app.alert("dlq.count > 6", name="dead")


def in_a_function() -> object:
    """Run a function in a process that cannot find it there."""

    def local() -> None: ...

    return place_of(local, "local")


JOBS = [
    job(aliases="mail"),
    job(aliases=["mail"], name="mail"),
    job(priority=10),
    job(timeout=0),
    job(tags="weekly"),
    job(executor="thread"),
    job(unique=True),
    job(retry="hard"),
    job(retry=5),
    job(concurrency=0),
    job(concurrency="two"),
    job(concurrency_key="to"),
    job(concurrency=2, concurrency_key="from"),
    job(concurrency=2, concurrency_key=5),
    job(rate="often"),
    job(rate=5),
    job(breaker=5),
    job(budget=5),
    job(unique=bb.Unique(by=["from"])),
    job(expires=-1),
    job(name=""),
    lambda: engine().job(executor="fast")(work),
    lambda: engine().job(5),
    lambda: engine().job(engine().job(send)),
    lambda: engine().job(functools.partial(send, "ada")),
    lambda: engine().job(Mailer.mail),
    lambda: engine().job(Mailer().mail),
    lambda: engine().job(lambda: 1),
    lambda: engine().job(stream),
    lambda: engine().job(send).options(name="x"),
    twice,
    policies_twice,
    needing(bb.Provide(5)),
    needing(bb.Provide(factory())),
    needing(bb.Provide(greedy)),
    positional,
    circle,
    too_late,
    in_a_function,
]
CALLS = [
    called(),
    called("ada", bcc=1),
    bb.current_job,
]
HANDLERS = [
    lambda: engine().on(),
    lambda: engine().on(told),
    lambda: engine().on("job.deda"),
    lambda: engine().on("job.*.x"),
    lambda: engine().on("job.ded.*"),
    lambda: engine().on("a" * 300),
    lambda: engine().on("job.dead", to=5),
    lambda: engine().on("job.dead")(other),
    lambda: engine().listen("job.dead")(told),
    subscribed_twice,
    sinks_twice,
    alerts_twice,
    schedules_twice,
    lambda: engine().cron("0 9 * * *")(other),
    lambda: engine().cron("0 9 * * *", every=1),
    lambda: engine().cron("0 9 * * *")(5),
    lambda: engine().scheduled("0 9 * * *"),
]
CASES: list[Callable[[], object]] = [*JOBS, *CALLS, *HANDLERS]
