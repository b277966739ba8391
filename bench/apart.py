"""Work in processes of their own, whose memory and CPU are theirs alone."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from threading import Barrier

__all__ = ["hired", "hush", "in_fresh_process", "ready"]

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds in which new processes come to be ready.
PATIENCE = 60.0

_barriers: list[Barrier] = []


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a new interpreter."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=hush) as pool:
        return pool.submit(function, *args, **kwargs).result()


@contextmanager
def hired(count: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Iterator[list[Future[T]]]:
    """Call a function in several new interpreters at once; go on when each has said that it is `ready`."""
    context = get_context("spawn")
    barrier = context.Barrier(count + 1)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_keep, initargs=(barrier,)) as pool:
        results = [pool.submit(function, *args, **kwargs) for _ in range(count)]
        try:
            barrier.wait(PATIENCE)
        except BrokenBarrierError:
            # One that failed tells why.
            for result in results:
                if result.done():
                    _ = result.result()
            raise
        yield results


def hush() -> None:
    """Let this process warn of nothing: what a store lacks is not news here, and a report is read by people."""
    logging.disable(logging.WARNING)


def _keep(barrier: Barrier) -> None:
    hush()
    _barriers.append(barrier)


def ready() -> None:
    """Say so, from within such a call; blocks until all are."""
    _barriers[0].wait(PATIENCE)
