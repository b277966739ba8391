"""What is wrong with a call is said at the call, by a typed error, and nothing is stored."""

from __future__ import annotations

import asyncio
import functools
import math
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, CallNotUsed, CallRefused, Registry, Unique
from backburner.errors import (
    AlreadyEnded,
    ArgumentNotStorable,
    DuplicateKind,
    InvalidArguments,
    InvalidOption,
    InvalidSetting,
    InvalidUrl,
    NotACall,
    NotAJob,
    NotInAJob,
    NotRunning,
    ResourceFailed,
    UnknownKind,
    UnknownRetryPolicy,
    UnknownUrlOption,
)
from backburner.jobs.context import current_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backburner import Job

    Send = Job[..., None]


@pytest.fixture
def send(bb: Backburner) -> Send:
    """Return a job with typed arguments."""

    @bb.job
    async def send(to: str, count: int = 1) -> None:
        raise AssertionError(f"nothing refused may run: {to}, {count}")

    return send


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delya": 1}, "no option 'delya'"),
        ({"delay": -1}, "delay must not be negative"),
        ({"delay": math.nan}, "delay must be finite"),
        ({"delay": math.inf}, "delay must be finite"),
        ({"delay": "60"}, "a timedelta or a number of seconds"),
        ({"delay": True}, "a timedelta or a number of seconds"),
        ({"delay": timedelta(days=200_000)}, "longer than 285 years"),
        ({"at": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - the point
        ({"at": 1_800_000_000}, "an aware datetime"),
        ({"at": datetime.fromisoformat("2026-01-01T00:00:00+00:00"), "delay": 1}, "give one"),
        ({"expires": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - the point
        ({"expires": -5}, "expires must not be negative"),
        ({"priority": 10}, "0 .first. to 9"),
        ({"priority": True}, "0 .first. to 9"),
        ({"queue": ""}, "must not be empty"),
        ({"queue": "x" * 129}, "128 are allowed"),
        ({"queue": "a\x00b"}, r"\\x00"),
        ({"id": "\ud800"}, r"\\ud800"),
        ({"id": 7}, "is a text"),
        ({"tags": "urgent"}, "a list of names"),
        ({"tags": ["a\nb"]}, "contains"),
        ({"timeout": 0}, "timeout=None sets no limit"),
        ({"retry": "standart"}, 'did you mean "standard"'),
        ({"name": "report"}, "outside of one give id="),
        ({"id": "a", "name": "b"}, "give one"),
        ({"unique": "to"}, "is no Unique; write Unique"),
        ({"unique": Unique(by=["subject"])}, "no argument 'subject' to be unique by; it has to, count"),
    ],
)
async def test_options(bb: Backburner, send: Send, options: dict[str, Any], says: str) -> None:
    """Each option says what it takes."""
    async with bb:
        with pytest.raises(InvalidOption, match=says) as caught:
            await bb.create_task(send("a"), **options)
        assert caught.value.option
        assert isinstance(caught.value, CallRefused)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), (("a", 1, 2), {}), (("a",), {"to": "b"}), (("a",), {"subject": "x"})]
)
def test_arguments(send: Send, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Wrong, missing and extra arguments are refused when the call is made."""
    with pytest.raises(InvalidArguments, match="send"):
        send(*args, **kwargs)


@pytest.mark.parametrize(
    ("value", "path"),
    [(object(), "to"), (b"bytes", "to"), ("a\x00", "to"), ("\ud800", "to"), (7, "to")],
)
async def test_values(bb: Backburner, send: Send, value: Any, path: str) -> None:  # noqa: ANN401 - anything
    """A value that cannot be stored, or would not come back equal, is refused with its path."""
    async with bb:
        with pytest.raises(ArgumentNotStorable) as caught:
            await bb.create_task(send(value))
        assert caught.value.path == path


async def test_too_large(bb: Backburner, send: Send) -> None:
    """Arguments above 256 KiB are refused, saying what to do instead."""
    async with bb:
        with pytest.raises(ArgumentNotStorable, match="262,144 are allowed"):
            await bb.create_task(send("x" * 262_144))
        handle = await bb.create_task(send("x" * 262_000), delay=3600)
        assert await handle.cancel()


async def test_one_call_is_not_many(bb: Backburner, send: Send) -> None:
    """A single call given to create_tasks is told how to write many."""
    async with bb:
        with pytest.raises(NotACall, match=r"create_tasks\(\[send\(…\), …\]\)"):
            await bb.create_tasks(send("a"))  # type: ignore[call-overload]


async def test_what_is_no_call(bb: Backburner, send: Send) -> None:
    """A coroutine, a job, a function or a task in place of a call is told how to write it."""

    async def plain() -> None:
        raise AssertionError("it is closed, not run")

    async with bb:
        for wrong, says in (
            (plain(), r"decorate plain with @bb.job and pass plain"),
            (send, r"call it: send\("),
            (plain, r"decorate it with @bb.job and pass plain"),
            (asyncio.get_running_loop().create_future(), "runs already"),
            ("send", "takes a call of a job"),
        ):
            with pytest.raises(NotACall, match=says):
                await bb.create_task(wrong)  # type: ignore[arg-type]


async def test_a_job_of_another_engine(bb: Backburner) -> None:
    """An engine stores its own jobs only."""
    other = Backburner("memory://")

    @other.job
    async def foreign() -> None: ...

    async with bb:
        with pytest.raises(UnknownKind, match="is not a job of this engine"):
            await bb.create_task(foreign())


def test_what_is_no_job(bb: Backburner) -> None:
    """Only plain functions are jobs; everything else is refused when it is decorated."""

    class Mailer:
        def send(self) -> None: ...

        @staticmethod
        def static() -> None: ...

    def generator() -> Any:  # noqa: ANN401 - anything
        yield 1

    async def async_generator() -> Any:  # noqa: ANN401 - anything
        yield 1

    for wrong, says in (
        (Mailer.send, "is a method"),
        (Mailer().send, "a method cannot be a job"),
        (Mailer.static, "is a method"),
        (lambda: None, "a lambda has no name"),
        (functools.partial(print), "a partial has no name"),
        (generator, "is a generator"),
        (async_generator, "is a generator"),
        (Mailer, "a job is a function"),
        (print, "a job is a function"),
        (7, "a job is a function"),
    ):
        with pytest.raises(NotAJob, match=says):
            bb.job(wrong)  # type: ignore[arg-type]


def test_declarations(bb: Backburner) -> None:
    """A declaration is checked when it is made."""

    async def fine() -> None: ...

    def sync() -> None: ...

    with pytest.raises(UnknownRetryPolicy, match="standard, conservative, aggressive, none"):
        bb.job(retry="never")(fine)
    with pytest.raises(InvalidOption, match="runs on the loop"):
        bb.job(executor="thread")(fine)
    with pytest.raises(InvalidOption, match="is not known"):
        bb.job(executor="fibre")(sync)  # type: ignore[call-overload]
    with pytest.raises(InvalidOption, match="priority"):
        bb.job(priority=-1)(fine)
    job = bb.job(fine)
    with pytest.raises(NotAJob, match="is a job already"):
        bb.job(job)
    with pytest.raises(DuplicateKind, match=r"test_bad_input.py:\d+ and .*test_bad_input.py:\d+"):
        bb.job(name="fine")(sync)


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("mysql://localhost/x", InvalidUrl, "mysql"),
        ("sqlite:///x.db?synchronus=off", UnknownUrlOption, "synchronous"),
        ("postgresql://me:secret@host/db/more", InvalidUrl, r"\*\*\*"),
        ("sqlite://:memory:", InvalidUrl, "memory://"),
        ("", InvalidUrl, "sqlite:///"),
    ],
)
def test_urls(url: str, error: type[Exception], says: str) -> None:
    """An address that cannot be understood is refused at construction, its password masked."""
    with pytest.raises(error, match=says) as caught:
        Backburner(url)
    assert "secret" not in str(caught.value)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that cannot be used is refused, naming it and its value."""
    monkeypatch.setenv("BACKBURNER_GRACE", "soon")
    with pytest.raises(InvalidSetting, match="BACKBURNER_GRACE='soon'") as caught:
        Backburner("memory://")
    assert caught.value.variable == "BACKBURNER_GRACE"


def test_celerys_habits(send: Send) -> None:
    """What Celery's hands type says what to write instead; any other missing attribute is simply missing."""
    name = "nothing"
    for habit in ("delay", "apply_async"):
        with pytest.raises(AttributeError, match=r"await bb\.create_task\(send\("):
            getattr(send, habit)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(send, name)
    assert not hasattr(send, "retry")


def test_outside_a_job() -> None:
    """`current_job` works in jobs only, and says so."""
    with pytest.raises(NotInAJob, match="outside a job"):
        current_job()


def test_a_call_that_nobody_stores_or_awaits(send: Send) -> None:
    """A call that is neither stored nor awaited warns, as a forgotten coroutine does, and says what to write."""
    with pytest.warns(
        CallNotUsed, match=r"send\(to='a', count=1\) was neither stored nor awaited: write `await bb.create_"
    ):
        send("a")


async def test_a_call_is_no_coroutine(send: Send) -> None:
    """`asyncio.create_task(call)` would store nothing: asyncio refuses it."""
    call: Any = send("a")
    with pytest.raises(TypeError, match="a coroutine was expected"):
        asyncio.create_task(call)  # noqa: RUF006 - it raises
    call.used = True


async def test_before_the_engine_runs(bb: Backburner, send: Send) -> None:
    """Outside of `async with bb:` everything that needs the store says what to do."""
    call = send("a")
    for needs in (bb.create_task(call), bb.create_tasks([call]), bb.drain()):
        with pytest.raises(NotRunning, match="async with bb"):
            await needs
    for asks in (bb.TaskGroup, lambda: bb.handle("x", send), lambda: bb.queues, lambda: bb.state):
        with pytest.raises(NotRunning):
            asks()
    call.used = True


async def test_then_comes_before_the_end(bb: Backburner) -> None:
    """A follow-up, a checkpoint or a completion of a run that has ended is refused: it has to come before."""
    kept: list[Any] = []

    @bb.job
    async def work() -> None:
        kept.append(current_job())

    async with bb:
        await (await bb.create_task(work()))
        (context,) = kept
        with pytest.raises(AlreadyEnded, match="then has to come before"):
            context.then(work())
        with pytest.raises(AlreadyEnded, match="a checkpoint has to come before"):
            await context.checkpoint(1)
        with pytest.raises(AlreadyEnded, match="complete has to come before"):
            await context.complete(tx=object())


async def test_what_a_job_says_of_itself(bb: Backburner) -> None:
    """In a job, too, what is wrong is refused at the call: nothing of it reaches the store."""

    @bb.job
    async def work() -> list[str]:
        job, said = current_job(), list[str]()
        for refused in (
            lambda: job.progress(-1),
            lambda: job.progress(1, 2.5),  # type: ignore[arg-type]
            lambda: job.checkpoint({1: 2}),
            lambda: job.then(work(), name="x"),  # type: ignore[call-arg]
            lambda: job.then(work(), tx=1),  # type: ignore[call-arg]
            lambda: job.then(work(), delya=1),  # type: ignore[call-arg]
            lambda: job.then(work),  # type: ignore[arg-type]
        ):
            with pytest.raises(CallRefused) as caught:
                refused()
            said.append(type(caught.value).__name__)
        return said

    async with bb:
        handle = await bb.create_task(work())
        assert await handle == ["InvalidOption"] * 2 + ["ArgumentNotStorable"] + ["InvalidOption"] * 3 + ["NotACall"]
        status = await handle.status()
        assert (status.progress, status.checkpoint) == (None, None)


async def test_a_group_outside_of_its_block(bb: Backburner, send: Send) -> None:
    """A TaskGroup takes calls inside its block, which is entered once."""
    async with bb:
        group = bb.TaskGroup()
        with pytest.raises(AlreadyEnded, match="inside its block"):
            group.create_task(send("a"))
        async with group:
            with pytest.raises(InvalidOption, match=r"give tx to TaskGroup\(tx="):
                group.create_task(send("a"), tx=object())
            with pytest.raises(InvalidOption, match="no option 'delya'"):
                group.create_task(send("a"), delya=1)  # type: ignore[call-arg]
            with pytest.raises(NotACall):
                group.create_task("send")  # type: ignore[arg-type]
        with pytest.raises(AlreadyEnded, match="inside its block"):
            group.create_task(send("a"))
        with pytest.raises(AlreadyEnded, match="entered once"):
            await group.__aenter__()


@pytest.mark.parametrize("option", ["tx", "name", "delya"])
def test_presets(send: Send, option: str) -> None:
    """`.options` takes what holds for any one job: no transaction, no child's name, no slip of the pen."""
    with pytest.raises(InvalidOption, match=f"send.options takes no {option}="):
        send.options(**{option: 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"by": "to"}, {"states": "dead"}, {"states": ["done"]}, {"states": []}, {"period": -1}], ids=str
)
def test_unique(wrong: dict[str, Any]) -> None:
    """A `Unique` that could not hold is refused where it is written; one that names no argument where it is declared."""
    with pytest.raises(InvalidOption):
        Unique(**wrong)

    async def work(to: str) -> None:
        del to

    with pytest.raises(InvalidOption, match="no argument 'subject' to be unique by; it has to"):
        Backburner("memory://").job(unique=Unique(by=["subject"]))(work)


def test_registries() -> None:
    """Registries come in a list; two jobs of one name are refused naming both places, aliases too."""
    one, other = Registry("mail"), Registry("mail")
    one.job(name="send")(_work)
    other.job(name="post", aliases=["mail.send"])(_work)
    with pytest.raises(DuplicateKind, match=r"mail.send is registered twice: .*test_bad_input.py:\d+ and .*:\d+"):
        Backburner("memory://", jobs=[one, other])
    with pytest.raises(InvalidOption, match="a list of registries"):
        Backburner("memory://", jobs=one)  # type: ignore[call-overload]
    with pytest.raises(InvalidOption, match="declare jobs with @registry"):
        Backburner("memory://", jobs=[_work])  # type: ignore[list-item]


async def _work() -> None:
    """Stand in for a job."""


async def test_what_the_engine_is_given(make: Callable[..., Backburner]) -> None:
    """What cannot be called is refused at construction; headers that cannot be carried, where a job is stored."""
    for option in ("lifespan", "headers", "around"):
        with pytest.raises(InvalidOption, match=rf"{option}=.* cannot be called"):
            make(**{option: [7] if option == "around" else 7})
    for wrong in (None, {"a": 1}, {"a": "\ud800"}, {"a": "x" * 9000}):
        bb = make(headers=lambda wrong=wrong: wrong)
        job = bb.job(_work)
        async with bb:
            with pytest.raises(InvalidOption, match="headers="):
                await bb.create_task(job())


async def test_a_resource_that_fails_to_open(make: Callable[..., Backburner]) -> None:
    """A lifespan that fails keeps the engine from starting, and the error says which; the engine may be entered again."""
    broken = True

    @asynccontextmanager
    async def resources() -> AsyncIterator[int]:
        if broken:
            raise ConnectionError("no database")
        yield 7

    bb = make(lifespan=resources)
    with pytest.raises(ResourceFailed, match=r"lifespan=.*resources failed to open.*: ConnectionError: no database"):
        await bb.__aenter__()
    assert not bb.running
    broken = False
    async with bb:
        assert bb.state == 7
