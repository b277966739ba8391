"""What is wrong with a call is said at the call, by a typed error, and nothing is stored."""

from __future__ import annotations

import asyncio
import functools
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, CallRefused
from backburner.errors import (
    ArgumentNotStorable,
    DuplicateKind,
    InvalidArguments,
    InvalidOption,
    InvalidSetting,
    InvalidUrl,
    NotACall,
    NotAJob,
    NotInAJob,
    UnknownKind,
    UnknownRetryPolicy,
    UnknownUrlOption,
)
from backburner.jobs.context import current_job

if TYPE_CHECKING:
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
            await bb.create_tasks(send("a"))  # type: ignore[arg-type]


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
        bb.job(executor="fibre")(sync)
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
        ("postgresql://me:secret@host/db", InvalidUrl, r"\*\*\*"),
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
