"""`@bb.job` and `@registry.job`: one decorator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from msgspec import UNSET, UnsetType

from backburner.jobs.definition import define
from backburner.jobs.job import Job
from backburner.jobs.lanes import lanes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta
    from typing import ParamSpec

    from backburner.jobs.definition import Definition
    from backburner.jobs.job import Decorator
    from backburner.jobs.unique import Unique
    from backburner.model.lane import Rate
    from backburner.resilience.adaptive import Adaptive
    from backburner.resilience.breaker import Breaker
    from backburner.resilience.budget import Budget
    from backburner.resilience.bulkhead import Bulkhead
    from backburner.resilience.retry import RetryPolicy

    P = ParamSpec("P")

__all__ = ["Declares"]

R = TypeVar("R")


class Declares(ABC):
    """Where jobs are declared."""

    #: What every kind declared here begins with.
    _prefix = ""

    @abstractmethod
    def _declare(self, definition: Definition) -> None:
        """Take a definition; raises `DuplicateKind`."""

    @overload
    def job(self, fn: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
    @overload
    def job(self, fn: Callable[P, R], /) -> Job[P, R]: ...
    @overload
    def job(
        self,
        *,
        name: str | None = ...,
        queue: str = ...,
        priority: int = ...,
        retry: str | RetryPolicy | None = ...,
        timeout: timedelta | float | UnsetType | None = ...,
        expires: timedelta | float | None = ...,
        unique: Unique | None = ...,
        tags: Sequence[str] = ...,
        executor: Literal["thread", "process"] | None = ...,
        aliases: Sequence[str] = ...,
        breaker: str | Breaker | None = ...,
        budget: str | Budget | None = ...,
        bulkhead: str | Bulkhead | None = ...,
        concurrency: int | Adaptive | None = ...,
        concurrency_key: str | Sequence[str] | None = ...,
        rate: str | Rate | None = ...,
    ) -> Decorator: ...
    def job(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 5,
        retry: str | RetryPolicy | None = None,
        timeout: timedelta | float | UnsetType | None = UNSET,
        expires: timedelta | float | None = None,
        unique: Unique | None = None,
        tags: Sequence[str] = (),
        executor: Literal["thread", "process"] | None = None,
        aliases: Sequence[str] = (),
        breaker: str | Breaker | None = None,
        budget: str | Budget | None = None,
        bulkhead: str | Bulkhead | None = None,
        concurrency: int | Adaptive | None = None,
        concurrency_key: str | Sequence[str] | None = None,
        rate: str | Rate | None = None,
    ) -> Any:
        """Declare a function as a job, as ``@bb.job`` or ``@bb.job(queue="mail", …)``.

        ``name`` is the kind under which it is stored, the function's own name by default: to rename the function, keep
        the name, or list the old kind, whole, in ``aliases``. ``queue``, ``priority`` (0 first, 9 last), ``expires``, ``unique``
        and ``tags`` are for calls that say nothing else; ``retry`` and ``timeout`` (None: no limit) in place of the
        engine's. An async function runs on the loop, a `def` in a thread, or with ``executor="process"`` in a process of
        its own.

        Limits hold over all nodes, and a job that one holds back waits without an attempt. ``concurrency`` is how many of
        its jobs run at once (or an `Adaptive`), by the values of the arguments in ``concurrency_key`` if given; ``rate``
        how many start in how long (``"100/minute"``); ``bulkhead`` the room it shares with all jobs that name the same.
        ``breaker`` names a dependency whose failures stop all jobs that name it, and brings the ``budget`` of that name:
        the share of work that may be retries. A name alone takes what another job declares under it, such as
        ``Breaker("stripe", ratio=0.3)``, else the defaults.

        Raises `NotAJob`, `DuplicateKind` or `InvalidOption`.
        """

        def declare(function: Callable[..., Any]) -> Job[..., Any]:
            definition = define(
                function,
                name=name,
                queue=queue,
                priority=priority,
                retry=retry,
                timeout=timeout,
                expires=expires,
                unique=unique,
                tags=tags,
                executor=executor,
                aliases=aliases,
                lanes=lanes(
                    breaker=breaker,
                    budget=budget,
                    bulkhead=bulkhead,
                    concurrency=concurrency,
                    concurrency_key=concurrency_key,
                    rate=rate,
                ),
                prefix=self._prefix,
            )
            self._declare(definition)
            return Job(definition, function)

        return declare if fn is None else declare(fn)
