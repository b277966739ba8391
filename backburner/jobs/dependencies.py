"""Dependencies: what a job takes by ``= Provide(factory)``, opened for each attempt and closed after it."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from backburner.jobs.factories import place_of
from backburner.jobs.planning import Plan, Provided, provided

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
    from contextlib import (
        AbstractAsyncContextManager,
        AbstractContextManager,
        AsyncExitStack,
        ExitStack,
        _AsyncGeneratorContextManager,  # pyright: ignore[reportPrivateUsage] - what @asynccontextmanager answers
        _GeneratorContextManager,  # pyright: ignore[reportPrivateUsage] - what @contextmanager answers
    )

    from backburner.jobs.planning import Opened, Overrides

__all__ = ["Dependencies", "Provide"]

T = TypeVar("T")

_NOTHING: Mapping[str, object] = MappingProxyType({})
_NO_OVERRIDES: Overrides = MappingProxyType({})


class _Cursor(Protocol):
    """A file or a cursor: an iterator that is itself the value."""

    def __next__(self) -> object: ...
    def close(self) -> object: ...


C = TypeVar("C", bound=_Cursor)


@overload
def Provide(factory: type[AbstractAsyncContextManager[T, Any]], /) -> T: ...
@overload
def Provide(factory: type[AbstractContextManager[T, Any]], /) -> T: ...
@overload
def Provide(factory: Callable[..., _AsyncGeneratorContextManager[T]], /) -> T: ...
@overload
def Provide(factory: Callable[..., _GeneratorContextManager[T]], /) -> T: ...
@overload
def Provide(factory: Callable[..., Coroutine[Any, Any, T]], /) -> T: ...
@overload
def Provide(factory: Callable[..., AsyncGenerator[T, Any]], /) -> T: ...
@overload
def Provide(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload] - a generator is no cursor
    factory: Callable[..., Generator[T, Any, Any]], /
) -> T: ...
@overload
def Provide(factory: Callable[..., C], /) -> C: ...
@overload
def Provide(factory: Callable[..., AsyncIterator[T]], /) -> T: ...
@overload
def Provide(factory: Callable[..., Iterator[T]], /) -> T: ...
@overload
def Provide(factory: Callable[..., T], /) -> T: ...
def Provide(factory: Callable[..., Any], /) -> Any:  # noqa: N802 - reads as a declaration
    """Have a parameter filled by a factory, anew in each attempt.

    ``async def report(day: date, db: AsyncSession = Provide(session)) -> int``

    ``factory`` is a generator function that yields the value once (closed when the attempt ends, the job's exception
    thrown in), a function made by `contextlib.asynccontextmanager` or `contextmanager`, a class of context managers, or
    a function that returns the value, which is then left alone. Sync or async. Its own parameters may have `Provide`
    defaults, the others need a default. It runs in the attempt's own task and context, so `current_job` works in it;
    for a `def` job a sync factory runs in the job's thread. All who name the same factory share one instance an
    attempt. What was opened is closed in reverse order; a factory that fails to open or to close fails the attempt,
    and none can swallow the job's exception.

    Whoever awaits a call may pass the value by name: then the factory is not opened. A declaration that cannot be
    provided raises `InvalidDependency` where the job is declared.
    """
    return Provided(factory)


class Dependencies:
    """What a job is provided with: planned once, where it is declared, opened for each attempt.

    What the caller gives by name stands for its factory's instance wherever else that is needed.
    """

    def __init__(self, wanted: Mapping[str, Callable[..., Any]], kind: str, *, threaded: bool) -> None:
        self._wanted = wanted
        self._kind = kind
        self._threaded = threaded
        #: The parameters that are filled here.
        self.names = frozenset(wanted)
        self._plan = self._planned_with(_NO_OVERRIDES)
        #: The last overrides, and the plan with them.
        self._overrides = _NO_OVERRIDES
        self._overridden = self._plan

    @classmethod
    def of(cls, fn: Callable[..., object], kind: str) -> Dependencies | None:
        """Read a job's `Provide` defaults, and those of its factories; None without any.

        Raises `InvalidDependency` for what can never be provided.
        """
        wanted = provided(fn, f"{kind}{place_of(fn)}")
        return cls(wanted, kind, threaded=not inspect.iscoroutinefunction(fn)) if wanted else None

    async def open(
        self, stack: AsyncExitStack, given: Mapping[str, object] = _NOTHING, overrides: Overrides = _NO_OVERRIDES
    ) -> dict[str, object]:
        """Open everything on the loop, to be closed by ``stack``; return the values by the job's parameters.

        ``given`` is what the caller brought, ``overrides`` what is opened in place of which factory, at any depth.
        """
        opened = self._planned(overrides).begin(given)
        await opened.on_the_loop(stack, synchronous=True)
        return opened.arguments()

    async def open_async(
        self, stack: AsyncExitStack, given: Mapping[str, object] = _NOTHING, overrides: Overrides = _NO_OVERRIDES
    ) -> Opened:
        """Open what is asynchronous, before the job's thread begins; `open_sync` goes on from there."""
        opened = self._planned(overrides).begin(given)
        await opened.on_the_loop(stack, synchronous=False)
        return opened

    def open_sync(self, stack: ExitStack, opened: Opened) -> dict[str, object]:
        """Open the rest in the job's thread, to be closed there; return the values by the job's parameters."""
        opened.in_the_thread(stack)
        return opened.arguments()

    def _planned(self, overrides: Overrides) -> Plan:
        if not overrides:
            return self._plan
        if overrides != self._overrides:
            self._overridden = self._planned_with(overrides)
            self._overrides = dict(overrides)
        return self._overridden

    def _planned_with(self, overrides: Overrides) -> Plan:
        return Plan(self._wanted, overrides, kind=self._kind, threaded=self._threaded)
