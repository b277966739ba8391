"""The job of a schedule: stored once, built for each tick from what the code says by then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from backburner.errors import InvalidOption, PayloadNotReadable
from backburner.jobs.call import Call
from backburner.jobs.definition import JobOptions, define
from backburner.jobs.lanes import lanes
from backburner.jobs.order import Orders
from backburner.jobs.registry import Kinds
from backburner.jobs.standing import Built, build, order, order_unseen
from backburner.jobs.unique import Unique
from backburner.model.clock import SECOND, SystemClock
from backburner.model.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.jobs.definition import Definition

#: 2026-03-02T00:00Z.
TICK = 1_772_409_600 * SECOND
LANES: dict[str, Any] = {
    "breaker": None,
    "budget": None,
    "bulkhead": None,
    "concurrency": None,
    "concurrency_key": None,
    "rate": None,
}


async def report(region: str, days: int = 7) -> None:
    """Report."""


def defined(fn: Callable[..., Any] = report, **options: Any) -> Definition:  # noqa: ANN401 - as a decorator takes them
    """Declare a job."""
    definition = define(
        fn,
        name="report",
        queue="default",
        priority=5,
        retry=None,
        timeout=None,
        expires=None,
        unique=None,
        tags=(),
        executor=None,
        aliases=("bericht",),
        prefix="",
    )
    definition.options = structs.replace(JobOptions(), **options)
    return definition


def ordered(definition: Definition, options: dict[str, Any] | None = None, **said: Any) -> str:  # noqa: ANN401 - options
    """Return what is stored of ``report("eu")``."""
    kinds = Kinds()
    kinds.add(definition)
    orders = Orders(kinds, Ids(SystemClock()), argument_limit=1000)
    call: Call[None] = Call(definition, definition.signature.bind(("eu",), {}), options=options)  # type: ignore[arg-type]
    kind, text = order(orders, call, said)
    assert kind == "report"
    return text


def built(text: str, *known: Definition, **how: Any) -> Built:  # noqa: ANN401 - as `build` takes them
    """Build the job of the tick."""
    kinds = {name: each for each in known for name in (each.kind, *each.aliases)}
    return build(text, kinds, job_id="j1", schedule="s", tick=TICK, **{"lane": None, **how})


def test_the_same_call_is_the_same_text() -> None:
    """So that a start without a change writes nothing."""
    assert ordered(defined()) == ordered(defined())


def test_a_job_knows_its_schedule_and_its_tick() -> None:
    """It has the id that was drawn for it, and tells by its headers what it is for."""
    job, stale = built(ordered(defined()), defined())
    assert (job.id, job.kind, job.args, stale) == ("j1", "report", '{"region":"eu","days":7}', None)
    assert job.headers == '{"backburner.schedule":"s","backburner.tick":"2026-03-02T00:00:00+00:00"}'


def test_what_the_code_says_by_then_holds() -> None:
    """Queue, priority, tags, expiry, unique key and limits are the declaration's when it fires, not when it was stored."""
    text = ordered(defined(queue="old", priority=9, tags=("a",), expires=5))
    now = defined(
        queue="mail",
        priority=1,
        tags=("b",),
        expires=7 * SECOND,
        unique=Unique(by=["region"]),
        lanes=lanes(**{**LANES, "concurrency": 2, "concurrency_key": "region"}),
    )
    job, stale = built(text, now, lane="schedule/s")
    assert stale is None
    assert (job.queue, job.priority, job.tags, job.expires_in) == ("mail", 1, ("b",), 7 * SECOND)
    assert job.unique == Unique(by=["region"]).key("report", '{"region":"eu"}')
    assert job.lanes == ("concurrency:report/eu", "schedule/s")


def test_what_was_said_of_it_stays() -> None:
    """Options of the schedule and presets of the call hold whatever the code says."""
    text = ordered(
        defined(queue="old"),
        {"tags": ["mine"], "unique": Unique(by=()), "expires": timedelta(seconds=3), "retry": "none"},
        queue="slow",
        priority=0,
    )
    job, _ = built(text, defined(queue="mail", priority=7, tags=("b",), unique=None, expires=9))
    assert (job.queue, job.priority, job.tags, job.expires_in) == ("slow", 0, ("mine",), 3 * SECOND)
    assert job.unique == Unique(by=()).key("report", '{"region":"eu","days":7}')
    assert job.retry is not None


def test_a_kind_nobody_knows_here_is_as_it_was_stored() -> None:
    """With its limits and its key, and in the queue that other nodes have for it, if they say one."""
    limits = lanes(**{**LANES, "concurrency": 2})
    text = ordered(defined(queue="old", unique=Unique(), lanes=limits))
    job, stale = built(text, lane="schedule/s")
    assert stale == "this node does not know report"
    assert (job.queue, job.lanes) == ("old", ("concurrency:report", "schedule/s"))
    assert job.unique is not None
    assert built(text, homes={"report": "mail"}).job.queue == "mail"
    assert built(ordered(defined(), queue="slow"), homes={"report": "mail"}).job.queue == "slow"


def test_arguments_that_do_not_fit_any_more_are_as_they_were_stored() -> None:
    """The job is stored all the same, and waits at a gate for a node where they fit: it says why."""

    async def other(country: str) -> None:
        """Take another argument."""

    job, stale = built(ordered(defined(unique=Unique())), defined(other, unique=Unique()))
    assert job.args == '{"region":"eu","days":7}'
    assert stale is not None
    assert stale.startswith("its arguments do not fit report here: report()")


def test_an_alias_is_the_job_it_became() -> None:
    """A schedule stored under a former kind stores jobs of the new one."""
    job, stale = built(order_unseen("bericht", '{"region":"eu"}'), defined())
    assert (job.kind, stale) == ("report", None)


@pytest.mark.parametrize("option", ["id", "delay"])
def test_what_names_one_job_is_refused(option: str) -> None:
    """An id, or a time, is one job's: a schedule stores many, when they are due."""
    with pytest.raises(InvalidOption, match=f"a scheduled call takes no {option}="):
        ordered(defined(), {option: "x"})


def test_a_job_of_other_code_is_told_of() -> None:
    """What cannot be read is an error that names the schedule."""
    with pytest.raises(PayloadNotReadable, match="the job of schedule 's' cannot be read here"):
        built('{"job":7}')


def test_a_job_without_its_code_is_in_the_default_queue() -> None:
    """Unless it is said, or known, where it belongs."""
    assert built(order_unseen("report", "{}")).job.queue == "default"
    assert built(order_unseen("report", "{}", home="mail")).job.queue == "mail"
    said = built(order_unseen("report", "{}", queue="slow", priority=1, home="mail"), defined(queue="x")).job
    assert (said.queue, said.priority) == ("slow", 1)
