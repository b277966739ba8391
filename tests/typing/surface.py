"""Groups, follow-ups, shared resources and the rest of the surface, for the type checkers: never run, only checked.

Where a line must be an error, the checkers are told to expect one: an ignore that is not needed is an error itself.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_type

from backburner import (
    Backburner,
    Call,
    Job,
    JobContext,
    JobHandle,
    Registry,
    TaskGroup,
    Unique,
    current_job,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping


@dataclass
class Resources:
    """What jobs share."""

    model: str


@asynccontextmanager
async def resources() -> AsyncGenerator[Resources]:
    """Open what jobs share."""
    yield Resources("small")


async def traced(ctx: JobContext[Any], run: Callable[[], Awaitable[object]]) -> None:
    """Wrap every run."""
    assert ctx.id
    await run()


def trace() -> Mapping[str, str]:
    """Take what travels with a job."""
    return {"traceparent": "00-1-1-01"}


mail = Registry("mail")


@mail.job
async def send(to: str) -> int:
    """Send."""
    return len(to)


@mail.job(executor="process", unique=Unique(by=["to"], states=["pending"], period=60), aliases=["press"])
def render(to: str, width: int = 3) -> str:
    """Render in a process."""
    return to * width


bb = Backburner("memory://", jobs=[mail], lifespan=resources, around=[traced], headers=trace, processes=2)
plain = Backburner("memory://")


@bb.job(unique=Unique(period=timedelta(hours=1)))
async def answer(question: str) -> str:
    """Use all of a context."""
    ctx = current_job()
    assert_type(ctx.attempt, int)
    assert_type(ctx.token, int)
    assert_type(ctx.stopping, bool)
    assert_type(ctx.headers, "Mapping[str, str]")
    await ctx.progress(1, 3)
    await ctx.checkpoint({"seen": 1})
    assert_type(ctx.then(send("ada"), delay=timedelta(minutes=1), tags=["later"]), str)
    await ctx.complete("done", tx=object())
    return question


def work(ctx: JobContext[Resources]) -> str:
    """Take a context that knows its resources."""
    assert_type(ctx.state, Resources)
    ctx.progress(1)
    ctx.checkpoint(2)
    return ctx.state.model


async def use() -> None:
    """Use the surface."""
    assert_type(bb, Backburner[Resources])
    assert_type(plain, Backburner[None])
    assert_type(bb.state, Resources)
    assert_type(bb.ready, bool)
    by_position: Job[[str], int] = send
    assert_type(by_position("ada"), Call[int])
    assert_type(render("a", width=2), Call[str])
    assert_type(answer.options(priority=1, queue="mail")("why"), Call[str])
    async with bb as entered, entered.TaskGroup() as group:
        assert_type(entered, Backburner[Resources])
        assert_type(group, TaskGroup)
        one = group.create_task(send("ada"), delay=1)
        other = group.create_task(render("bob"), name="bob")
        assert_type(one, JobHandle[int])
        assert_type(await other, str)
    assert_type(await bb.create_task(send("ada"), unique=Unique(), tx=object()), JobHandle[int])
    assert_type(await bb.create_tasks([send("a"), render("b")], queue="mail"), list[JobHandle[Any]])
    one.add_done_callback(print)
    assert_type(await asyncio.wait_for(one, 1), int)
    assert_type(await asyncio.gather(send("a"), render("b")), tuple[int, str])
    await bb.drain()


def use_without_a_loop() -> None:
    """Store from a thread or a script."""
    handle = bb.blocking.create_task(render("ada", 3), delay=5)
    assert_type(handle, JobHandle[str])
    assert_type(bb.blocking.result(handle, timeout=1), str)
    bb.blocking.close()


async def misuse() -> None:
    """Every line here is an error."""
    wrong_preset = send.options(delya=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    preset_type = send.options(priority="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    still_typed = send.options(priority=1)(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong_unique = Unique("to")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    wrong_state = plain.state.model  # type: ignore[attr-defined]  # pyright: ignore[reportOptionalMemberAccess]
    no_such = bb.state.modle  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    not_a_call: object = bb.blocking.create_task(send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    then_late = current_job().then(send("a"), tx=object())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await current_job().complete("done")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    task: object = asyncio.create_task(send("ada"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    odd = Backburner("memory://", lifespan=send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    around = Backburner("memory://", around=[send])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    assert [wrong_preset, preset_type, still_typed, wrong_unique, wrong_state, no_such, not_a_call, then_late, task]
    assert [odd, around]
