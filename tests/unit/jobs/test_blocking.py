"""The sync door: to the engine's loop and back, or to a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner import Backburner, JobDead, JobHandle, NotRunning, StoreUnavailable
from backburner.errors import InvalidOption, NotACall, OnTheLoop
from backburner.jobs import crossing
from backburner.jobs.blocking import Blocking
from backburner.jobs.vigil import Final, Vigil
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from backburner.jobs.call import Call
    from backburner.jobs.options import TaskOptions

#: Seconds that nothing takes, however busy the machine.
WAIT = 10
mark: ContextVar[str] = ContextVar("mark", default="nobody")
bb = Backburner("memory://")


@bb.job
async def greet(name: str) -> str:
    """Stand for any job."""
    return f"hello {name}"


class Engine:
    """An engine as the sync door sees it: it notes what it is asked, and answers once it is let."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.go = asyncio.Event()
        self.go.set()
        self.asked = threading.Event()
        self.waited = threading.Event()
        self.cancelled = threading.Event()
        self.stored: list[tuple[str, TaskOptions, str]] = []
        self.threads: set[str] = set()
        self.handles: list[JobHandle[Any]] = []

    async def create_task(self, call: Call[Any], options: TaskOptions, /) -> JobHandle[Any]:
        self.threads.add(threading.current_thread().name)
        self.stored.append((repr(call), options, mark.get()))
        mark.set("the engine")
        self.asked.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.handle(call.definition)

    def again(self, handle: JobHandle[Any], /) -> JobHandle[Any]:
        self.handles.append(handle)
        self.waited.set()
        return handle

    def handle(self, definition: object) -> JobHandle[Any]:
        return JobHandle(Vigil(f"job-{len(self.stored)}", cast("Any", definition), cast("Any", self)))

    def watch(self, vigil: Vigil, /) -> None:
        """Nothing has to be read: the tests end jobs."""


class Own:
    """The engines that processes without a loop open for themselves."""

    def __init__(self) -> None:
        self.opened: list[Engine] = []
        self.ready = threading.Event()
        self.closed = threading.Event()
        self.error: Exception | None = None

    def watch(self, vigil: Vigil, /) -> None:
        """Nothing has to be read: the tests end jobs."""

    @asynccontextmanager
    async def storing(self) -> AsyncIterator[Engine]:
        if self.error is not None:
            raise self.error
        engine = Engine()
        self.opened.append(engine)
        self.ready.set()
        yield engine
        self.closed.set()


def entered(engine: Engine | None, *, patience: float = 60.0) -> Blocking:
    """Return the door of a process whose engine was entered, and which opens none of its own."""
    return Blocking(lambda: engine, cast("Any", None), patience=patience)


@contextmanager
def alone(own: Own, *, idle: float = 60.0) -> Iterator[Blocking]:
    """Bring the door of a process without a loop."""
    door = Blocking(lambda: None, own.storing, idle=idle)
    yield door
    door.close()


@contextmanager
def engine_in_a_thread() -> Iterator[tuple[Engine, Callable[[], None]]]:
    """Bring an engine on a loop in another thread, and the way to end that loop."""
    made: list[Engine] = []
    ready = threading.Event()

    async def live() -> None:
        leave = asyncio.Event()
        engine = Engine()
        stops.append(lambda: engine.loop.call_soon_threadsafe(leave.set))
        made.append(engine)
        ready.set()
        await leave.wait()

    stops: list[Callable[[], object]] = []
    thread = threading.Thread(target=asyncio.run, args=(live(),), name="the loop's thread")
    thread.start()
    assert ready.wait(WAIT)

    def stop() -> None:
        if not made[0].loop.is_closed():
            stops[0]()
        thread.join(WAIT)

    try:
        yield made[0], stop
    finally:
        # Also after a failure: the thread would outlive the run, and keep it from ending.
        stop()


# ---- beside an engine ----------------------------------------------------------------------------------------------


def test_a_call_from_another_thread_is_stored_on_the_engines_loop() -> None:
    """The engine is asked on its own loop, with the options given, and the caller gets the engine's handle."""
    with engine_in_a_thread() as (engine, _):
        handle = entered(engine).create_task(greet("ada"), delay=60, tags=["vip"])
    assert engine.stored == [("greet(name='ada')", {"delay": 60, "tags": ["vip"]}, "nobody")]
    assert engine.threads == {"the loop's thread"}
    assert handle.id == "job-1"


def test_the_engine_sees_the_callers_context_and_leaves_it_alone() -> None:
    """What a caller's context variables say holds for the engine too: so a job's children know their parent."""
    with engine_in_a_thread() as (engine, _):
        token = mark.set("the caller")
        try:
            entered(engine).create_task(greet("ada"))
            assert mark.get() == "the caller"
        finally:
            mark.reset(token)
    assert [who for _, _, who in engine.stored] == ["the caller"]


async def test_a_thread_with_a_running_loop_is_refused_at_once() -> None:
    """Who can await must: the call is refused before it blocks the loop, and says what to write."""
    engine = Engine()
    call = greet("ada")
    with pytest.raises(OnTheLoop, match=r"await bb\.create_task\(…\) instead"):
        entered(engine).create_task(call)
    assert call.used
    with pytest.raises(OnTheLoop, match="await the handle instead"):
        entered(engine).result(engine.handle(greet.definition))
    with pytest.raises(OnTheLoop, match="close"):
        entered(engine).close()
    assert not engine.stored


def test_an_error_of_the_engine_is_raised_in_the_caller() -> None:
    """The caller gets the engine's error, and its traceback shows the caller's own line."""
    with engine_in_a_thread() as (engine, _):

        async def refuse(_call: object, _options: object, /) -> JobHandle[Any]:
            raise InvalidOption("no such option", option="colour")

        engine.create_task = refuse  # type: ignore[method-assign]
        with pytest.raises(InvalidOption, match="no such option") as raised:
            entered(engine).create_task(greet("ada"))
    places = [entry.name for entry in raised.traceback]
    assert places[0] == "test_an_error_of_the_engine_is_raised_in_the_caller"
    assert places[-1] == "refuse"


def test_an_engine_whose_loop_ends_meanwhile_is_told() -> None:
    """A loop that ends with a call under way cancels it: the caller hears that, and does not hang."""
    with engine_in_a_thread() as (engine, stop), ThreadPoolExecutor(1) as pool:
        engine.go.clear()
        waiting = pool.submit(entered(engine).create_task, greet("ada"))
        assert engine.asked.wait(WAIT)
        stop()
        with pytest.raises(NotRunning, match="ended meanwhile"):
            waiting.result(WAIT)


def test_a_closed_loop_is_told_at_once() -> None:
    """An engine whose loop was closed without a stop is not waited for."""
    with engine_in_a_thread() as (engine, stop):
        stop()
        with pytest.raises(NotRunning, match="is closed: nothing was done"):
            entered(engine, patience=60).create_task(greet("ada"))


def test_a_blocked_loop_is_told_and_the_call_withdrawn() -> None:
    """A loop that is silent for too long has not stored the job, and does not do so later."""
    with engine_in_a_thread() as (engine, _):
        release = threading.Event()
        engine.loop.call_soon_threadsafe(release.wait, WAIT)
        with pytest.raises(StoreUnavailable, match=r"not answered for 0\.1 s.*\(nothing was done\)") as raised:
            entered(engine, patience=0.1).create_task(greet("ada"))
        release.set()
        entered(engine).create_task(greet("bob"))
    assert raised.value.stored == "no"
    assert [call for call, _, _ in engine.stored] == ["greet(name='bob')"]


def test_a_loop_blocked_half_way_leaves_it_unknown() -> None:
    """A loop that falls silent while it stores may have stored the job."""
    with engine_in_a_thread() as (engine, _):
        release = threading.Event()

        async def block(_call: object, _options: object, /) -> JobHandle[Any]:
            release.wait(WAIT)
            return engine.handle(greet.definition)

        engine.create_task = block  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable, match="may have been done") as raised:
            entered(engine, patience=0.1).create_task(greet("ada"))
        release.set()
    assert raised.value.stored == "unknown"


def test_a_slow_engine_on_a_living_loop_is_waited_for() -> None:
    """The limit is on the loop's silence, not on what is asked of it."""
    with engine_in_a_thread() as (engine, _), ThreadPoolExecutor(1) as pool:
        engine.go.clear()
        looks = threading.Semaphore(0)
        door = entered(engine, patience=0.1)
        waiting = pool.submit(door.create_task, greet("ada"))
        assert engine.asked.wait(WAIT)
        # As long as it takes to be silent three times over.
        engine.loop.call_soon_threadsafe(lambda: engine.loop.call_later(0.3, looks.release))
        assert looks.acquire(timeout=WAIT)
        assert not waiting.done()
        engine.loop.call_soon_threadsafe(engine.go.set)
        assert waiting.result(WAIT).id == "job-1"


def test_a_loop_that_does_not_run_is_told() -> None:
    """An engine that was entered on a loop which nobody runs any more cannot answer."""
    loop = asyncio.new_event_loop()

    async def make() -> Engine:
        return Engine()

    engine = loop.run_until_complete(make())
    with pytest.raises(StoreUnavailable, match="it does not run"):
        entered(engine, patience=0.1).create_task(greet("ada"))
    loop.close()


def test_ctrl_c_cancels_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted, a caller stops waiting, and the engine is told that nobody does."""
    waits = threading.Event()

    def wait(*args: Any) -> Any:  # noqa: ANN401 - as it is called
        waits.set()
        return concurrent.futures.wait(*args)

    monkeypatch.setattr(crossing, "wait", wait)
    with engine_in_a_thread() as (engine, _):
        engine.go.clear()

        def interrupt() -> None:
            # Earlier there is nobody yet who stops waiting.
            assert waits.wait(WAIT)
            assert engine.asked.wait(WAIT)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        hand = threading.Thread(target=interrupt)
        hand.start()
        with pytest.raises(KeyboardInterrupt):
            entered(engine).create_task(greet("ada"))
        hand.join(WAIT)
        assert engine.cancelled.wait(WAIT)


# ---- waiting -------------------------------------------------------------------------------------------------------


def test_a_result_is_waited_for_in_a_thread() -> None:
    """``result`` blocks until the job has ended, and answers what awaiting the handle would."""
    with engine_in_a_thread() as (engine, _), ThreadPoolExecutor(2) as pool:
        good, bad = (engine.handle(greet.definition) for _ in range(2))
        door = entered(engine)
        waiting = [pool.submit(door.result, handle) for handle in (good, bad)]
        engine.loop.call_soon_threadsafe(good._vigil.end, Final(JobState.COMPLETED, '"hello"'))
        engine.loop.call_soon_threadsafe(bad._vigil.end, Final(JobState.DEAD, reason="exhausted"))
        assert waiting[0].result(WAIT) == "hello"
        with pytest.raises(JobDead, match="exhausted"):
            waiting[1].result(WAIT)


def test_a_wait_that_takes_too_long_leaves_the_job_alone() -> None:
    """After the timeout the caller goes on; nobody waits any more, and the job is what it was."""
    with engine_in_a_thread() as (engine, _):
        handle = engine.handle(greet.definition)
        with pytest.raises(TimeoutError, match=rf"{handle.id} has not ended within 0\.05 s; it goes on"):
            entered(engine).result(handle, timeout=0.05)
        left = threading.Event()
        engine.loop.call_soon_threadsafe(left.set)
        assert left.wait(WAIT)
        assert not handle._vigil.awaited
        assert not handle.done()


@pytest.mark.parametrize("timeout", [float("nan"), -1, "5"])
def test_a_timeout_that_is_none_is_refused(timeout: float) -> None:
    """A timeout is a duration."""
    with engine_in_a_thread() as (engine, _), pytest.raises(InvalidOption, match="timeout"):
        entered(engine).result(engine.handle(greet.definition), timeout=timeout)


def test_only_a_handle_has_a_result() -> None:
    """An id alone does not say of which type its result is."""
    with pytest.raises(NotACall, match="takes a handle that create_task returned, not str"):
        entered(None).result(cast("Any", "01abc"))


# ---- without a loop ------------------------------------------------------------------------------------------------


def test_fifty_threads_share_one_engine() -> None:
    """In a process without a loop the first call opens the store, on a daemon thread that all threads share."""
    own = Own()
    with alone(own) as door, ThreadPoolExecutor(50) as pool:
        start = threading.Barrier(50)

        def store(number: int) -> str:
            start.wait(WAIT)
            return door.create_task(greet(str(number))).id

        assert len(list(pool.map(store, range(50)))) == 50
        (engine,) = own.opened
        assert len(engine.stored) == 50
        assert engine.threads == {"backburner-blocking"}
        (thread,) = (each for each in threading.enumerate() if each.name == "backburner-blocking")
        assert thread.daemon
    assert own.closed.is_set()
    assert not thread.is_alive()


def test_an_idle_thread_ends_and_the_next_call_opens_another() -> None:
    """The store is not held open for a process that stores once a day."""
    own = Own()
    with alone(own, idle=0.05) as door:
        door.create_task(greet("ada"))
        assert own.closed.wait(WAIT)
        door.create_task(greet("bob"))
    assert [call for engine in own.opened for call, _, _ in engine.stored] == ["greet(name='ada')", "greet(name='bob')"]


def test_a_thread_somebody_waits_in_is_not_idle() -> None:
    """However long a job takes, the engine through which its result is waited for stays."""
    own = Own()
    with alone(own, idle=0.02) as door, ThreadPoolExecutor(1) as pool:
        # A handle from before: nothing but the wait for it opens the store.
        handle: JobHandle[str] = JobHandle(Vigil("job-1", greet.definition, cast("Any", own)))
        waiting = pool.submit(door.result, handle)
        assert own.ready.wait(WAIT)
        (engine,) = own.opened
        assert engine.waited.wait(WAIT)
        # Several times as long as it takes to be idle.
        looks = threading.Event()
        engine.loop.call_soon_threadsafe(lambda: engine.loop.call_later(0.2, looks.set))
        assert looks.wait(WAIT)
        assert not own.closed.is_set()
        engine.loop.call_soon_threadsafe(engine.handles[0]._vigil.end, Final(JobState.COMPLETED, '"hello"'))
        assert waiting.result(WAIT) == "hello"
        assert own.closed.wait(WAIT)


def test_close_may_be_called_twice_and_the_next_call_opens_again() -> None:
    """Closing closes the store; the door stays."""
    own = Own()
    with alone(own) as door:
        door.close()
        door.create_task(greet("ada"))
        door.close()
        door.close()
        assert own.closed.is_set()
        door.create_task(greet("bob"))
    assert len(own.opened) == 2


def test_closing_ends_the_wait_of_others() -> None:
    """Whoever waits while another thread closes hears of it, and does not hang."""
    own = Own()
    with alone(own) as door, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(door.result, door.create_task(greet("ada")))
        assert own.opened[0].waited.wait(WAIT)
        door.close()
        with pytest.raises(NotRunning):
            waiting.result(WAIT)


def test_a_store_that_cannot_be_opened_is_told_to_each_and_tried_again() -> None:
    """Every caller gets an error of its own, and the next one finds the store as it is then."""
    own = Own()
    own.error = StoreUnavailable("the disk is away", stored="no")
    with alone(own) as door, ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(lambda name: _error(door, greet(name)), "abcdefgh"))
        assert {type(error) for error in errors} == {StoreUnavailable}
        assert {cast("StoreUnavailable", error).stored for error in errors} == {"no"}
        assert len({id(error) for error in errors}) == 8
        own.error = None
        assert door.create_task(greet("ada")).id == "job-1"


def test_no_thread_to_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, as while newer interpreters exit, the caller hears why."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with alone(Own()) as door, monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NotRunning, match="no thread could be started to store jobs from"):
            door.create_task(greet("ada"))


def _error(door: Blocking, call: Call[str]) -> BaseException | None:
    try:
        door.create_task(call)
    except StoreUnavailable as error:
        return error
    return None
