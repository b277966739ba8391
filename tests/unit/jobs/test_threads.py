"""The engine's threads: few, daemons, in the caller's context, first come first served."""

from __future__ import annotations

import threading
from contextvars import ContextVar

from backburner.jobs.threads import Threads

WAIT = 10
mark: ContextVar[str] = ContextVar("mark")


def test_no_more_threads_than_the_limit() -> None:
    """At most ``limit`` functions run at a time; the rest wait their turn and all of them run."""
    threads = Threads(2)
    lock = threading.Lock()
    running = most = 0
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(WAIT)
        with lock:
            running -= 1

    for future in [threads.submit(work) for _ in range(6)]:
        future.result(WAIT)
    assert most == 2
    threads.close()


def test_first_come_first_served() -> None:
    """Functions begin in the order they came."""
    threads = Threads(1)
    order: list[int] = []
    go = threading.Event()
    first = threads.submit(lambda: go.wait(WAIT))
    rest = [threads.submit(lambda number=number: order.append(number)) for number in range(5)]  # type: ignore[misc]
    go.set()
    assert first.result(WAIT)
    for future in rest:
        future.result(WAIT)
    assert order == [0, 1, 2, 3, 4]
    threads.close()


def test_threads_are_daemons_started_on_use() -> None:
    """No thread exists before the first call; those that do are daemons, so they hold no exit."""
    threads = Threads(3)
    before = threading.active_count()
    assert threads.submit(lambda: threading.current_thread().daemon).result(WAIT)
    assert threading.active_count() == before + 1
    threads.close()


def test_an_idle_thread_is_used_again() -> None:
    """A call that finds an idle thread starts no other."""
    threads = Threads(8)
    names: set[str] = set()
    for _ in range(20):
        names.add(threads.submit(lambda: threading.current_thread().name).result(WAIT))
    # A thread is idle a moment after its result is known, so a second one may be started; not one a call.
    assert len(names) <= 2
    threads.close()


def test_the_callers_context_is_copied() -> None:
    """A function sees its caller's context variables; what it sets stays with it."""
    threads = Threads(1)
    mark.set("caller")

    def work() -> str:
        seen = mark.get()
        mark.set("thread")
        return seen

    assert [threads.submit(work).result(WAIT) for _ in range(2)] == ["caller", "caller"]
    assert mark.get() == "caller"
    threads.close()


def test_an_error_is_the_callers() -> None:
    """Whatever a function raises is in its future, and the thread lives on."""
    threads = Threads(1)

    def fail() -> None:
        raise SystemExit(3)

    assert isinstance(threads.submit(fail).exception(WAIT), SystemExit)
    assert threads.submit(lambda: 1).result(WAIT) == 1
    threads.close()


def test_close_ends_idle_threads_and_lets_busy_ones_return() -> None:
    """After close every thread ends: the idle at once, a busy one when its function has returned."""
    threads = Threads(2)
    begun, go = threading.Event(), threading.Event()
    mine: list[threading.Thread] = []

    def busy() -> str:
        mine.append(threading.current_thread())
        begun.set()
        assert go.wait(WAIT)
        return "returned"

    future = threads.submit(busy)
    idle = threads.submit(threading.current_thread).result(WAIT)
    assert begun.wait(WAIT)
    threads.close()
    idle.join(WAIT)
    assert not idle.is_alive()
    go.set()
    assert future.result(WAIT) == "returned"
    mine[0].join(WAIT)
    assert not mine[0].is_alive()


def test_lent_threads_do_not_add_up() -> None:
    """However often calls wait for a job while others queue, no more threads stay than the limit: the rest end."""
    threads = Threads(1)
    queued = 20
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    running, most = [0], [0]

    def work() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        begun.release()
        assert go_on.acquire(timeout=WAIT)
        running[0] -= 1

    futures = [threads.submit(work) for _ in range(queued)]
    for _ in range(5):
        assert begun.acquire(timeout=WAIT)
        threads.lend()
        assert begun.acquire(timeout=WAIT)
        assert threads._count == 2
        threads.take_back()
        go_on.release()
        go_on.release()
    for _ in range(queued - 10):
        assert begun.acquire(timeout=WAIT)
        assert threads._count == 1
        go_on.release()
    for future in futures:
        future.result(WAIT)
    threads.close()
    assert most[0] == 2


def test_lending_starts_no_thread_beyond_the_limit() -> None:
    """Threads that were taken back and still run count: lending again starts another only where there is room."""
    threads = Threads(1)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        assert go_on.wait(WAIT)

    futures = [threads.submit(work) for _ in range(5)]
    assert begun.acquire(timeout=WAIT)
    for _ in range(3):
        threads.lend()
        begun.acquire(timeout=0.05)
        threads.take_back()
    assert threads._count == 2
    go_on.set()
    for future in futures:
        future.result(WAIT)
    threads.close()
