"""Calls that nobody dealt with, calls awaited directly, and the jobs that engines and registries know."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, CallNotUsed, NotRunning, Registry, current_job
from backburner.errors import (
    AlreadyEnded,
    ArgumentNotStorable,
    DuplicateKind,
    InvalidOption,
    NotACall,
    NotInAJob,
    NotInThisProcess,
)
from backburner.jobs import process_loading
from tests.unit.jobs.engines import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backburner import JobContext


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Bring an engine that runs nothing, entered."""
    made = House(run=False, headers=lambda: {"trace": "t"})
    async with made.bb:
        yield made


# ---- CallNotUsed ---------------------------------------------------------------------------------------------------


def warned(drop: Callable[[], object]) -> list[str]:
    """What is warned of as something is dropped."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drop()
        gc.collect()
    return [str(each.message) for each in caught if each.category is CallNotUsed]


def test_a_call_nobody_dealt_with_warns() -> None:
    """A call that is dropped warns once, as a forgotten coroutine does, saying what to write."""
    bb = Backburner("memory://")

    @bb.job
    async def send(to: str) -> None:
        del to

    (said,) = warned(lambda: send("a"))
    assert said.startswith("send(to='a') was neither stored nor awaited")
    assert "await bb.create_task(" in said
    assert len(warned(lambda: [send("a"), send("b")])) == 2


async def test_a_call_that_was_handed_over_does_not(house: House) -> None:
    """Stored, awaited or refused: its caller knows what became of it."""
    bb = house.bb

    @bb.job
    async def send(to: str = "a") -> None:
        del to

    async def refused(storing: Any) -> None:  # noqa: ANN401 - a coroutine
        with pytest.raises((InvalidOption, NotACall, ArgumentNotStorable)):
            await storing

    async def use() -> None:
        await bb.create_task(send())
        await bb.create_tasks([send(), send()])
        await send()
        async with bb.TaskGroup() as group:
            with pytest.raises(InvalidOption):
                group.create_task(send(), delya=1)  # type: ignore[call-arg]
        with pytest.raises(AlreadyEnded):
            group.create_task(send())
        await refused(bb.create_task(send(), delya=1))  # type: ignore[call-arg]
        await refused(bb.create_tasks([send(), send()], id="x"))  # type: ignore[call-overload]
        await refused(bb.create_tasks([send(), "send"]))  # type: ignore[list-item]
        await refused(bb.create_tasks(send()))  # type: ignore[call-overload]
        await refused(bb.create_task(send(object())))  # type: ignore[arg-type]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await use()
        gc.collect()
    assert [each.message for each in caught if each.category is CallNotUsed] == []


async def test_asyncio_takes_no_call(house: House) -> None:
    """`asyncio.create_task(call)` is refused by asyncio: a call is no coroutine."""

    @house.bb.job
    async def send() -> None: ...

    call: Any = send()
    with pytest.raises(TypeError, match="coroutine"):
        asyncio.create_task(call)  # noqa: RUF006 - it raises
    await call


# ---- awaited directly ----------------------------------------------------------------------------------------------


async def test_a_call_awaited_has_a_context_of_its_own(house: House) -> None:
    """Awaited, a call runs here: `current_job` answers it, also in a `def` job, and is as before afterwards."""
    seen: list[tuple[str, str, int, bool]] = []

    def look() -> None:
        job = current_job()
        seen.append((job.id, job.kind, job.attempt, job.stopping))

    @house.bb.job
    async def outer() -> str:
        look()
        await inner()
        look()
        return "done"

    @house.bb.job
    def inner() -> None:
        look()

    assert await outer() == "done"
    assert seen == [("inline", "outer", 1, False), ("inline", "inner", 1, False), ("inline", "outer", 1, False)]
    with pytest.raises(NotInAJob):
        current_job()


async def test_progress_and_checkpoints_stay_in_memory(house: House) -> None:
    """They work as in a job and are checked alike, but nothing is stored."""

    @house.bb.job
    async def work() -> object:
        await current_job().progress(1, 2)
        await current_job().checkpoint([1])
        with pytest.raises(ArgumentNotStorable):
            await current_job().checkpoint({1: 2})
        return current_job().last_checkpoint

    assert await work() == [1]
    assert house.ids == []


async def test_follow_ups_of_a_call_are_stored_once_it_returned(house: House) -> None:
    """`then` stores after success, with headers; after an error nothing; once over, it refuses."""
    kept: list[JobContext[Any]] = []

    @house.bb.job
    async def follow() -> None: ...

    @house.bb.job
    async def work(fails: bool) -> str:  # noqa: FBT001 - a job's argument
        kept.append(current_job())
        made = current_job().then(follow(), delay=60)
        assert house.ids == []
        if fails:
            raise ValueError
        return made

    with pytest.raises(ValueError, match=r"^$"):
        await work(True)  # noqa: FBT003 - a job's argument
    assert house.ids == []
    made = await work(False)  # noqa: FBT003 - a job's argument
    assert house.ids == [made]
    stored = house.database.jobs[made].job
    assert (stored.delay, stored.headers, stored.parent) == (60_000_000, '{"trace":"t"}', None)
    with pytest.raises(AlreadyEnded):
        kept[-1].then(follow())
    with pytest.raises(NotACall):
        kept[-1].then("follow")  # type: ignore[arg-type]


async def test_what_needs_a_stored_job_is_refused(house: House) -> None:
    """There is no job to complete; without an engine that runs, nothing that could store: no call is called unused."""

    @house.bb.job
    async def work() -> None:
        with pytest.raises(NotInAJob, match=r"complete\(\) needs a stored job"):
            await current_job().complete(tx=object())

    await work()
    idle = Backburner("memory://")

    @idle.job
    async def alone() -> None:
        with pytest.raises(NotRunning):
            current_job().then(alone())
        with pytest.raises(NotRunning):
            _ = current_job().state

    await alone()
    gc.collect()


async def test_a_call_awaited_in_a_job_belongs_to_it() -> None:
    """What a directly awaited call stores are the children of the job around it, with its headers; it shares its state."""
    house = House(headers=lambda: {"trace": "t"})
    children: list[tuple[str, bool, object]] = []

    @house.bb.job
    async def child() -> None: ...

    @house.bb.job
    async def inner() -> None:
        handle = await house.bb.create_task(child())
        children.append((handle.id, current_job().stopping, current_job().headers))

    @house.bb.job
    async def parent() -> str:
        await inner()
        return current_job().id

    async with house.bb:
        parent_id = await (await house.bb.create_task(parent()))
        ((child_id, stopping, headers),) = children
        assert house.database.jobs[child_id].job.parent == parent_id
        assert (stopping, headers) == (False, {"trace": "t"})


async def test_a_call_awaited_in_a_job_follows_up_in_the_jobs_own_store() -> None:
    """A job of two engines that is awaited within a job of one stores its follow-ups there, not in the other."""
    jobs = Registry()
    first, second = House(jobs=[jobs]), House(jobs=[jobs])

    @jobs.job
    async def follow() -> None: ...

    @jobs.job
    async def inner() -> None:
        current_job().then(follow())

    @jobs.job
    async def parent() -> None:
        await inner()

    async with first.bb, second.bb:
        await (await second.bb.create_task(parent()))
        assert first.ids == []
        assert {row.job.kind for row in second.database.jobs.values()} == {"parent", "follow"}


# ---- registries ----------------------------------------------------------------------------------------------------


def work() -> None:
    """Stand in for a job."""


def test_a_registry_prefixes_its_kinds() -> None:
    """With a prefix the kind of `send` is `mail.send`; engines take up what is declared before and after."""
    registry = Registry("mail")
    early = registry.job(work)
    bb = Backburner("memory://", jobs=[registry])
    late = registry.job(name="late", aliases=["mail.later"])(work)
    assert (early.kind, late.kind) == ("mail.work", "mail.late")
    assert bb._kinds.names == {"mail.work", "mail.late", "mail.later"}
    assert bb._kinds.get("mail.later") is late.definition
    assert bb._kinds.signatures["mail.later"] == bb._kinds.signatures["mail.late"]


def test_a_registry_may_belong_to_several_engines() -> None:
    """And to one twice: it is the same job."""
    registry = Registry()
    job = registry.job(work)
    engines = [Backburner("memory://", jobs=[registry, registry]), Backburner("memory://", jobs=[registry])]
    assert [bb._kinds.get("work") for bb in engines] == [job.definition] * 2
    assert len(job.definition.homes) == 2


@pytest.mark.parametrize("names", [("a", "a", []), ("a", "b", ["a"])])
def test_two_jobs_of_one_name(names: tuple[str, str, list[str]]) -> None:
    """Two of one name, an alias too, are refused naming both places: within a registry, and between any two."""
    first, second, aliases = names
    places = r"a is registered twice: .*test_calls.py:\d+ and .*test_calls.py:\d+; give one another name"
    bb = Backburner("memory://")
    bb.job(name=first)(work)
    with pytest.raises(DuplicateKind, match=places):
        bb.job(name=second, aliases=aliases)(work)
    assert bb._kinds.names == {"a"}
    mine, theirs = Registry(), Registry()
    mine.job(name=first)(work)
    theirs.job(name=second, aliases=aliases)(work)
    with pytest.raises(DuplicateKind, match=places):
        Backburner("memory://", jobs=[mine, theirs])


def test_what_a_registry_refuses() -> None:
    """A prefix, an alias, a list that is none."""
    registry = Registry()
    with pytest.raises(InvalidOption, match="registry's prefix"):
        Registry("a\nb")
    with pytest.raises(InvalidOption, match="aliases takes a list"):
        registry.job(aliases="old")(work)
    with pytest.raises(InvalidOption, match="own name"):
        registry.job(aliases=["work"])(work)
    with pytest.raises(InvalidOption, match="a list of registries"):
        Backburner("memory://", jobs=registry)  # type: ignore[call-overload]
    with pytest.raises(InvalidOption, match="jobs takes registries"):
        Backburner("memory://", jobs=[work])  # type: ignore[list-item]


async def test_another_loop_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """A loop of one's own beside the engine's cannot wait for it: the words name the way in for threads."""
    bb = Backburner("memory://")

    @bb.job
    async def greet() -> None: ...

    def from_a_loop_of_its_own() -> None:
        with pytest.raises(NotRunning, match=r"bb\.blocking\.create_task"):
            asyncio.run(bb.create_task(greet()))

    async with bb:
        await asyncio.to_thread(from_a_loop_of_its_own)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_process_jobs_engine_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the process of a process job the engine says so, and what to write there."""
    monkeypatch.setattr(process_loading, "_child", [True])
    bb = Backburner("memory://")
    with pytest.raises(NotInThisProcess, match="Provide"):
        _ = bb.state
    with pytest.raises(NotInThisProcess, match=r"bb\.blocking"):
        bb.TaskGroup()
