"""`@bb.job` and `@registry.job`: one decorator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from msgspec import UNSET, UnsetType

from backburner.jobs.definition import define
from backburner.jobs.job import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta
    from typing import ParamSpec

    from backburner.jobs.definition import Definition
    from backburner.jobs.job import Decorator
    from backburner.jobs.unique import Unique
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
    ) -> Any:
        """Declare a function as a job, as ``@bb.job`` or ``@bb.job(queue="mail", …)``.

        ``name`` is the kind under which it is stored, the function's own name by default: to rename the function, keep
        the name, or list the old kind, whole, in ``aliases``. ``queue``, ``priority`` (0 first, 9 last), ``expires``, ``unique``
        and ``tags`` are for calls that say nothing else; ``retry`` and ``timeout`` (None: no limit) in place of the
        engine's. An async function runs on the loop, a `def` in a thread, or with ``executor="process"`` in a process of
        its own. Raises `NotAJob`, `DuplicateKind` or `InvalidOption`.
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
                prefix=self._prefix,
            )
            self._declare(definition)
            return Job(definition, function)

        return declare if fn is None else declare(fn)
