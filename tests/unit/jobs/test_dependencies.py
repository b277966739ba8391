"""Dependencies: who is opened, where, once, in which order; and what is refused where it is declared."""

from __future__ import annotations

import asyncio
import functools
import re
import threading
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

import pytest

from backburner.errors import InvalidDependency
from backburner.jobs.dependencies import Dependencies, Provide

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator

    from backburner.jobs.planning import Overrides

P = ParamSpec("P")
T = TypeVar("T")

#: What happened, in order.
told: list[str] = []


@pytest.fixture(autouse=True)
def _afresh() -> None:
    told.clear()


def dependencies(job: Callable[..., object]) -> Dependencies:
    """Return those of a job that has some."""
    found = Dependencies.of(job, "report")
    assert found is not None
    return found


async def run(
    job: Callable[..., Awaitable[T]], given: dict[str, object] | None = None, overrides: Overrides | None = None
) -> T:
    """Run a job on the loop with what it is provided with."""
    async with AsyncExitStack() as stack:
        return await job(**await dependencies(job).open(stack, given or {}, overrides or {}))
    raise AssertionError


async def session() -> AsyncGenerator[str]:
    """Open a session, commit it, or roll it back and say why."""
    told.append("open")
    try:
        yield "session"
    except BaseException as error:
        told.append(f"roll back: {error!r}")
        raise
    told.append("commit")


# ---- what a factory may be -----------------------------------------------------------------------------------------


@asynccontextmanager
async def async_manager() -> AsyncIterator[str]:
    """Open and close, asynchronously."""
    told.append("open")
    yield "value"
    told.append("close")


@contextmanager
def manager() -> Iterator[str]:
    """Open and close."""
    told.append("open")
    yield "value"
    told.append("close")


def generator() -> Generator[str]:
    """Open and close."""
    told.append("open")
    yield "value"
    told.append("close")


class Manager:
    """Open and close, synchronously."""

    def __enter__(self) -> str:
        told.append("open")
        return "value"

    def __exit__(self, *_: object) -> None:
        told.append("close")


class AsyncManager:
    """Open and close, asynchronously, though it could do without."""

    async def __aenter__(self) -> str:
        told.append("open")
        return "value"

    async def __aexit__(self, *_: object) -> None:
        told.append("close")

    def __enter__(self) -> Self:
        raise AssertionError

    def __exit__(self, *_: object) -> None:
        raise AssertionError


class Maker:
    """An object that is called."""

    async def __call__(self) -> AsyncGenerator[str]:
        """Open and close."""
        told.append("open")
        yield "value"
        told.append("close")


def decorated(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function as most do."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    return call


OPENED = {
    "an asynccontextmanager function": async_manager,
    "a contextmanager function": manager,
    "a generator function": generator,
    "a class of context managers": Manager,
    "a class of asynchronous context managers": AsyncManager,
    "a partial": functools.partial(async_manager),
    "an object that is called": Maker(),
    "a generator function behind a decorator": decorated(generator),
    "an async generator function behind a decorator": decorated(Maker().__call__),
}


@pytest.mark.parametrize("factory", OPENED.values(), ids=OPENED.keys())
async def test_a_factory_is_opened_before_the_job_and_closed_after_it(factory: Callable[..., Any]) -> None:
    """The job has what the factory yields, between opening and closing."""

    async def job(value: str = Provide(factory)) -> None:
        assert value == "value"
        told.append("job")

    await run(job)
    assert told == ["open", "job", "close"]


async def test_a_function_that_returns_a_value() -> None:
    """What a plain function returns, sync or async, is handed over as it is; a class of anything else is called."""
    shared = Manager()

    def returns() -> Manager:
        return shared

    async def returns_later() -> Manager:
        return shared

    async def job(
        one: Manager = Provide(returns),
        two: Manager = Provide(returns_later),
        three: list[int] = Provide(list[int]),
    ) -> None:
        assert one is two is shared
        assert three == []

    await run(job)
    assert told == [], "it may be shared, so it is neither entered nor closed"


def test_a_job_without_dependencies_has_none() -> None:
    """Without a `Provide` default nothing is planned, so nothing has to be asked when the job runs."""

    async def job(day: str, limit: int = 3) -> None: ...

    assert Dependencies.of(job, "report") is None


# ---- sharing and order ---------------------------------------------------------------------------------------------


async def test_one_instance_a_factory_and_attempt_closed_in_reverse_order() -> None:
    """Two parameters and a nested use share an instance; the next attempt has its own; the last opened closes first."""
    made: list[object] = []

    async def connection() -> AsyncGenerator[object]:
        told.append("open connection")
        made.append(object())
        yield made[-1]
        told.append("close connection")

    def orders(connection: object = Provide(connection)) -> Generator[object]:
        told.append("open orders")
        yield connection
        told.append("close orders")

    async def job(
        orders: object = Provide(orders), one: object = Provide(connection), two: object = Provide(connection)
    ) -> None:
        assert orders is one is two is made[-1]

    await run(job)
    assert told == ["open connection", "open orders", "close orders", "close connection"]
    await run(job)
    assert len(made) == 2
    assert made[0] is not made[1]


async def test_factories_run_in_the_jobs_task_and_context() -> None:
    """What a factory sets in the context, the job sees; both run in one task, so scopes may span the job."""
    mark: ContextVar[str] = ContextVar("mark")

    async def marked() -> AsyncGenerator[object]:
        mark.set("set by the factory")
        async with asyncio.timeout(30):
            yield asyncio.current_task()

    async def job(task: object = Provide(marked)) -> None:
        assert task is asyncio.current_task()
        assert mark.get() == "set by the factory"

    await run(job)


async def test_what_the_caller_gives_is_not_opened() -> None:
    """A given value stands for its factory, nested uses too; what only that factory needed is not opened either."""

    async def url() -> str:
        told.append("url")
        return "url"

    async def connection(url: str = Provide(url)) -> AsyncGenerator[str]:
        told.append("connection")
        yield url

    def orders(connection: str = Provide(connection), limit: int = 3) -> str:
        return f"orders of {connection}, {limit}"

    async def job(db: str = Provide(connection), orders: str = Provide(orders)) -> tuple[str, str]:
        return db, orders

    assert await run(job, {"db": "mine"}) == ("mine", "orders of mine, 3")
    assert told == []
    assert await run(job, {"orders": "mine"}) == ("url", "mine")
    assert told == ["url", "connection"]


async def test_overrides_replace_factories_at_any_depth() -> None:
    """An override is opened in place of its factory, with its own needs, wherever the factory was named."""

    async def connection() -> str:
        raise AssertionError

    def orders(connection: str = Provide(connection)) -> str:
        return f"orders of {connection}"

    def fake(name: str = Provide(lambda: "fake")) -> str:
        return name

    async def job(db: str = Provide(connection), orders: str = Provide(orders)) -> tuple[str, str]:
        return db, orders

    assert await run(job, overrides={connection: fake}) == ("fake", "orders of fake")
    both: Overrides = {connection: fake, orders: lambda: "none"}
    assert await run(job, overrides=both) == ("fake", "none")


async def test_the_same_job_with_changing_overrides() -> None:
    """Overrides that change from attempt to attempt take effect at once, and end."""

    def one() -> int:
        return 1

    async def job(number: int = Provide(one)) -> int:
        return number

    own = dependencies(job)
    overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
    seen: list[object] = []
    for replacement in (None, lambda: 2, lambda: 3, None):
        overrides.clear()
        if replacement is not None:
            overrides[one] = replacement
        async with AsyncExitStack() as stack:
            seen.append((await own.open(stack, {}, overrides))["number"])
    assert seen == [1, 2, 3, 1]


# ---- errors at run time --------------------------------------------------------------------------------------------


async def test_the_jobs_exception_is_thrown_in() -> None:
    """A generator sees how the job failed, and may roll back; the job's exception goes on."""

    async def job(db: str = Provide(session)) -> None:
        raise KeyError(db)

    with pytest.raises(KeyError, match="session"):
        await run(job)
    assert told == ["open", "roll back: KeyError('session')"]


@pytest.mark.parametrize(
    "error", [KeyError("k"), StopIteration(), StopAsyncIteration(), RuntimeError("generator didn't stop")]
)
@pytest.mark.parametrize("asynchronous", [True, False])
async def test_no_factory_swallows_the_jobs_exception(error: Exception, asynchronous: bool) -> None:  # noqa: FBT001
    """A factory that catches the job's exception and returns does not make the job a success."""

    async def swallows() -> AsyncGenerator[None]:
        try:
            yield
        except Exception:  # noqa: BLE001 - a mistake that many make
            told.append("swallowed")

    def swallows_too() -> Generator[None]:
        try:
            yield
        except Exception:  # noqa: BLE001 - the same
            told.append("swallowed")

    factory: Callable[[], Any] = swallows if asynchronous else swallows_too

    async def job(_: None = Provide(factory)) -> None: ...

    async with AsyncExitStack() as stack:
        await dependencies(job).open(stack, {})
        assert await stack.__aexit__(type(error), error, None) is False
    assert told == ["swallowed"]


async def test_what_fails_to_open_closes_what_was_opened() -> None:
    """An error while opening is the attempt's, and what was opened before it is told and closed."""

    def broken(db: str = Provide(session)) -> None:
        raise ConnectionError(db)

    async def job(_: None = Provide(broken)) -> None:
        raise AssertionError

    with pytest.raises(ConnectionError):
        await run(job)
    assert told == ["open", "roll back: ConnectionError('session')"]


async def test_an_exception_while_closing_is_the_attempts() -> None:
    """A factory that fails to close fails the attempt, and the others are closed all the same."""

    def broken(db: str = Provide(session)) -> Generator[str]:
        yield db
        raise ConnectionError("gone")

    async def job(_: str = Provide(broken)) -> None: ...

    with pytest.raises(ConnectionError, match="gone"):
        await run(job)
    assert told == ["open", "roll back: ConnectionError('gone')"]


async def never() -> AsyncGenerator[None]:
    """Never yield."""
    for _ in ():
        yield


def never_sync() -> Generator[None]:
    """Never yield."""
    yield from ()


async def twice() -> AsyncGenerator[None]:
    """Yield twice, also after an error."""
    for _ in range(2):
        try:
            yield
        except KeyError:
            told.append("swallowed")


def twice_sync() -> Generator[None]:
    """Yield twice, also after an error."""
    for _ in range(2):
        try:
            yield
        except KeyError:
            told.append("swallowed")


NEVER = {
    "an async generator": never,
    "a generator": never_sync,
    "an asynccontextmanager": asynccontextmanager(never),
    "a contextmanager": contextmanager(never_sync),
}
TWICE = {
    "an async generator": twice,
    "a generator": twice_sync,
    "an asynccontextmanager": asynccontextmanager(twice),
    "a contextmanager": contextmanager(twice_sync),
}


@pytest.mark.parametrize("factory", NEVER.values(), ids=NEVER.keys())
async def test_a_generator_that_never_yields_is_named(factory: Callable[..., Any]) -> None:
    """A factory that ends before it yields fails the attempt, by its name."""

    async def job(_: None = Provide(factory)) -> None: ...

    with pytest.raises(RuntimeError, match=r"the factory never(_sync)? ended without a yield"):
        await run(job)


@pytest.mark.parametrize("error", [None, KeyError("k")])
@pytest.mark.parametrize("factory", TWICE.values(), ids=TWICE.keys())
async def test_a_generator_that_yields_twice_is_named(factory: Callable[..., Any], error: Exception | None) -> None:
    """A factory that yields again fails the attempt, by its name."""

    async def job(_: None = Provide(factory)) -> None:
        if error is not None:
            raise error

    with pytest.raises(RuntimeError, match=r"the factory twice(_sync)? yielded more than once"):
        await run(job)


# ---- def jobs ------------------------------------------------------------------------------------------------------


async def test_a_def_jobs_factories_open_where_they_belong() -> None:
    """For a `def` job async factories open on the loop, sync ones in the thread, where they also close, and first."""

    def here(what: str) -> None:
        told.append(f"{what} {'on the loop' if threading.current_thread() is loop else 'in the thread'}")

    loop = threading.current_thread()

    async def on_loop() -> AsyncGenerator[str]:
        here("async opens")
        yield "async"
        here("async closes")

    def in_thread(first: str = Provide(on_loop)) -> Generator[str]:
        here("sync opens")
        yield f"sync after {first}"
        here("sync closes")

    def job(both: str = Provide(in_thread), one: str = Provide(on_loop)) -> tuple[str, str]:
        here("runs")
        return both, one

    own = dependencies(job)

    async with AsyncExitStack() as outer:
        opened = await own.open_async(outer, {}, {})

        def call() -> tuple[str, str]:
            with ExitStack() as stack:
                return job(**own.open_sync(stack, opened))  # type: ignore[arg-type]

        assert await asyncio.to_thread(call) == ("sync after async", "async")
    assert told == [
        "async opens on the loop",
        "sync opens in the thread",
        "runs in the thread",
        "sync closes in the thread",
        "async closes on the loop",
    ]


ON_THE_LOOP = {
    "an async generator function": session,
    "an asynccontextmanager function": async_manager,
    "one behind a decorator": decorated(session),
    "a partial of one": functools.partial(async_manager),
    "a class of asynchronous context managers": AsyncManager,
    "an object that is called": Maker(),
}


@pytest.mark.parametrize("factory", ON_THE_LOOP.values(), ids=ON_THE_LOOP.keys())
async def test_what_is_asynchronous_opens_on_the_loop(factory: Callable[..., Any]) -> None:
    """However an async factory is written, a `def` job's thread finds it open."""

    def job(_: object = Provide(factory)) -> None: ...

    own = dependencies(job)
    async with AsyncExitStack() as outer:
        opened = await own.open_async(outer)
        assert told == ["open"]
        with ExitStack() as stack:
            assert own.open_sync(stack, opened)["_"] in {"value", "session"}
    assert len(told) == 2


def test_a_def_jobs_async_factory_cannot_need_a_sync_one() -> None:
    """What would have to be opened before its own needs is refused where the job is declared, with the way out."""

    def path() -> str:
        return "path"

    async def opened(path: str = Provide(path)) -> str:
        return path

    def job(file: str = Provide(opened)) -> None: ...

    async def async_job(file: str = Provide(opened)) -> None: ...

    with pytest.raises(InvalidDependency, match=r"opened \(.*needs .*path, .*make .*path async, or the job"):
        Dependencies.of(job, "report")
    assert Dependencies.of(async_job, "report") is not None


async def test_a_def_jobs_factory_that_hides_that_it_is_async() -> None:
    """A plain function that returns something asynchronous is told apart in the thread, by its name."""

    def hidden() -> object:
        return session()

    def job(_: object = Provide(hidden)) -> None: ...

    own = dependencies(job)
    async with AsyncExitStack() as outer:
        opened = await own.open_async(outer, {})
        with ExitStack() as stack, pytest.raises(TypeError, match="hidden turned out to be asynchronous"):
            own.open_sync(stack, opened)


# ---- refused where it is declared ----------------------------------------------------------------------------------


def refused(job: Callable[..., object]) -> str:
    """Return the words in which a job is refused, which name the kind, a parameter and a place."""
    with pytest.raises(InvalidDependency) as caught:
        Dependencies.of(job, "report")
    words = str(caught.value)
    assert words.startswith("report")
    assert re.search(r"test_dependencies\.py:\d+", words)
    assert not words.endswith(".")
    return words


def test_a_cycle_names_its_chain() -> None:
    """Factories that need one another are refused with the whole chain, however deep in the job's needs."""

    def a(_: object) -> None: ...
    def b(_: object = Provide(a)) -> None: ...
    def c(_: object = Provide(b)) -> None: ...

    a.__defaults__ = (Provide(c),)

    async def job(value: None = Provide(c)) -> None: ...

    prefix = "test_a_cycle_names_its_chain.<locals>."
    assert f"{prefix}c -> {prefix}b -> {prefix}a -> {prefix}c" in refused(job)


async def test_an_override_may_not_need_what_it_replaces() -> None:
    """A cycle made by overrides is refused when it would be opened."""

    def real() -> int:
        return 1

    def wrapped(number: int = Provide(real)) -> int:
        return number + 1

    async def job(number: int = Provide(real)) -> int:
        return number

    with pytest.raises(InvalidDependency, match=r"wrapped -> .*wrapped"):
        await run(job, overrides={real: wrapped})


async def test_a_factory_that_was_called_is_refused() -> None:
    """``Provide(session())`` would open one thing for all attempts: the message says to leave the call out."""

    async def connect() -> str:
        return "connection"

    def rows() -> Generator[int]:
        yield 1

    async def job(db: str = Provide(session())) -> None: ...  # type: ignore[call-overload]
    async def second(db: str = Provide(connect())) -> None: ...  # type: ignore[call-overload]
    async def third(db: int = Provide(rows())) -> None: ...  # type: ignore[call-overload]

    assert "parameter 'db'" in refused(job)
    assert "write Provide(session), not called" in refused(job)
    assert "connect), not called" in refused(second)
    assert "rows), not called" in refused(third)


def test_what_cannot_be_called_is_refused() -> None:
    """A value in place of a factory is refused, and so is what has no hash."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> None: ...

    async def job(db: str = Provide("postgresql://")) -> None: ...  # type: ignore[call-overload]
    async def second(db: None = Provide(Unhashable())) -> None: ...

    assert "'postgresql://', which cannot be called" in refused(job)
    assert "has no hash" in refused(second)


def test_a_parameter_that_nobody_fills_is_refused() -> None:
    """A factory's parameter needs a default or `Provide`; ``*args`` and ``**kwargs`` need none."""

    def needy(url: str) -> str:
        return url

    def easy(*args: int, size: int = 5, **kwargs: int) -> int:
        return size + len(args) + len(kwargs)

    def nested(needy: str = Provide(needy)) -> str:
        return needy

    async def job(value: str = Provide(nested)) -> None: ...
    async def fine(value: int = Provide(easy)) -> None: ...

    assert "the factory test_a_parameter_that_nobody_fills_is_refused.<locals>.needy (" in refused(job)
    assert "takes 'url'" in refused(job)
    assert Dependencies.of(fine, "report") is not None


def test_a_parameter_that_cannot_be_named_is_refused() -> None:
    """Dependencies are passed by name, so a parameter that takes none cannot have one."""

    async def job(db: str = Provide(session), /) -> None: ...
    async def second(db: str = Provide(session), *numbers: int) -> None: ...
    async def fine(*numbers: int, db: str = Provide(session)) -> None: ...

    for each in (job, second):
        assert "parameter 'db' is passed by name" in refused(each)
    assert dependencies(fine).names == {"db"}
