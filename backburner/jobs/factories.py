"""Factories of dependencies: how what they make is opened, and closed."""

from __future__ import annotations

import functools
import inspect
from contextlib import AsyncContextDecorator, ContextDecorator, asynccontextmanager, contextmanager
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack, ExitStack
    from types import TracebackType

__all__ = ["Factory", "name_of", "place_of"]

#: How contextlib's words for a generator that yields again begin.
_YIELDED_AGAIN = "generator didn't stop"


def name_of(factory: object) -> str:
    """Return what people call a factory."""
    while isinstance(factory, functools.partial):
        factory = factory.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return getattr(factory, "__qualname__", "") or repr(factory)  # pyright: ignore[reportUnknownArgumentType]


def place_of(fn: object) -> str:
    """Return where a function is written, as ``(file:line)``; empty where nobody knows."""
    code = getattr(inspect.unwrap(fn), "__code__", None) if callable(fn) else None
    return f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""


class Factory:
    """One factory, looked at once: where it is declared."""

    __slots__ = ("_enters", "_make", "asynchronous", "name")

    def __init__(self, factory: Callable[..., Any]) -> None:
        self.name = name_of(factory)
        #: It has to be opened on the loop.
        self.asynchronous = _is_asynchronous(factory)
        #: It is a class, and what it makes is a context manager.
        self._enters = isinstance(factory, type) and hasattr(factory, "__aexit__" if self.asynchronous else "__exit__")
        self._make = factory
        if inspect.isasyncgenfunction(factory):
            self._make = asynccontextmanager(factory)
        elif inspect.isgeneratorfunction(factory):
            self._make = contextmanager(factory)

    async def open(self, stack: AsyncExitStack, needs: dict[str, object]) -> object:
        """Make an instance, which ``stack`` closes."""
        made: object = self._make(**needs)
        if isinstance(made, CoroutineType):
            return cast("object", await made)
        if isinstance(made, AsyncGeneratorType):
            made = _managed(cast("Any", made))
        if not (isinstance(made, AsyncContextDecorator) or (self._enters and self.asynchronous)):
            return self._adopt(stack, made)
        manager = cast("Any", made)
        try:
            value: object = await manager.__aenter__()
        except RuntimeError as error:
            self._tell_of_no_yield(error)
            raise
        stack.push_async_exit(_Closing(manager, self.name).asynchronously)
        return value

    def open_sync(self, stack: ExitStack, needs: dict[str, object]) -> object:
        """Make an instance in this thread, where ``stack`` closes it."""
        made: object = self._make(**needs)
        if isinstance(made, CoroutineType | AsyncGeneratorType | AsyncContextDecorator):
            if isinstance(made, CoroutineType):
                made.close()
            raise TypeError(
                f"the factory {self.name} turned out to be asynchronous where it was to be opened in a thread: provide "
                "the async function itself"
            )
        return self._adopt(stack, made)

    def _adopt(self, stack: AsyncExitStack | ExitStack, made: object) -> object:
        if isinstance(made, GeneratorType):
            made = _managed_sync(cast("Any", made))
        if not (isinstance(made, ContextDecorator) or self._enters):
            return made  # whatever it is, it is not entered: it may be shared
        manager = cast("Any", made)
        try:
            value: object = manager.__enter__()
        except RuntimeError as error:
            self._tell_of_no_yield(error)
            raise
        stack.push(_Closing(manager, self.name).synchronously)
        return value

    def _tell_of_no_yield(self, error: RuntimeError) -> None:
        if error.args == ("generator didn't yield",):
            raise RuntimeError(f"the factory {self.name} ended without a yield; it has to yield once") from error


class _Closing:
    """Closes a context manager, and lets the run's error go on where the manager would swallow it.

    Otherwise a job that failed would count as completed.
    """

    __slots__ = ("_manager", "_name")

    def __init__(self, manager: Any, name: str) -> None:  # noqa: ANN401 - it has the methods
        self._manager = manager
        self._name = name

    async def asynchronously(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._manager.__aexit__(kind, error, trace)
        except RuntimeError as raised:
            self._tell_of_a_second_yield(raised)
            raise

    def synchronously(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._manager.__exit__(kind, error, trace)
        except RuntimeError as raised:
            self._tell_of_a_second_yield(raised)
            raise

    def _tell_of_a_second_yield(self, raised: RuntimeError) -> None:
        if str(raised).startswith(_YIELDED_AGAIN):
            raise RuntimeError(f"the factory {self._name} yielded more than once; it has to yield once") from raised


def _managed(generator: Any) -> AsyncContextDecorator:  # noqa: ANN401 - of any type
    """Return the context manager of a generator that a decorated function returned."""
    return asynccontextmanager(lambda: generator)()


def _managed_sync(generator: Any) -> ContextDecorator:  # noqa: ANN401 - of any type
    return contextmanager(lambda: generator)()


def _is_asynchronous(factory: Callable[..., Any]) -> bool:
    if isinstance(factory, type):
        return hasattr(factory, "__aenter__") and hasattr(factory, "__aexit__")
    inner: Any = factory
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    return any(
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        for function in (inner, inspect.unwrap(inner))
    )
