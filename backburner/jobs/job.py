"""A function that is a job."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, Protocol, TypeVar, overload

from backburner.errors import InvalidOption
from backburner.jobs.call import Call
from backburner.jobs.options import CallOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from typing import Unpack

    from backburner.jobs.definition import Definition

__all__ = ["Decorator", "Job"]

P = ParamSpec("P")
R = TypeVar("R")

#: What hands type from habit.
_CELERY = frozenset({"delay", "apply_async", "s", "si", "signature"})


class Job(Generic[P, R]):
    """A function that can be stored as a job. Calling it makes a `Call`; ``fn`` is the plain function."""

    def __init__(self, definition: Definition, fn: Callable[P, Awaitable[R]] | Callable[P, R]) -> None:
        functools.update_wrapper(self, fn)
        self.definition = definition
        self._fn = fn
        self._presets: CallOptions | None = None
        _mark_coroutine_function(self, definition.fn)
        if definition.dependencies is not None:
            self.__signature__ = _asked_of_callers(definition.fn, definition.dependencies.names)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Make a call of this job: store it by `create_task`, or await it to run it here.

        Raises `InvalidArguments` at once when the arguments do not fit.
        """
        definition = self.definition
        if definition.dependencies is None:
            return Call(definition, definition.signature.bind(args, kwargs), options=self._presets)
        provided = definition.dependencies.names
        given = {name: value for name, value in kwargs.items() if name in provided}
        bound = definition.signature.bind(args, {name: value for name, value in kwargs.items() if name not in given})
        return Call(definition, bound, given, self._presets)

    def options(self, **options: Unpack[CallOptions]) -> Job[P, R]:
        """Return the same job with presets for `create_task`; what is said there overrules them."""
        unknown = options.keys() - CallOptions.__annotations__.keys()
        if unknown:
            raise InvalidOption(
                f"{self.kind}.options takes no {min(unknown)}=; it takes {', '.join(CallOptions.__annotations__)}",
                option=min(unknown),
            )
        preset: Job[P, R] = Job(self.definition, self._fn)
        preset._presets = {**(self._presets or {}), **options}
        return preset

    def __get__(self, owner: object, kind: type | None = None) -> Job[P, R]:
        """Answer itself: a job is never a method."""
        return self

    def __repr__(self) -> str:
        return f"<job {self.definition.kind}>"

    if not TYPE_CHECKING:  # a checker knows what a job has

        def __getattr__(self, name: str) -> NoReturn:
            """Tell hands that type from habit what to write here."""
            if name in _CELERY:
                kind = self.definition.kind
                raise AttributeError(
                    f"a job has no {name}(): write `await bb.create_task({kind}(…))`, with delay=, at=, expires= and "
                    "the like as options of create_task"
                )
            raise AttributeError(f"a job has no attribute {name!r}")

    @property
    def kind(self) -> str:
        """The name under which the store knows this job."""
        return self.definition.kind

    @property
    def fn(self) -> Callable[..., object]:
        """The plain function."""
        return self.definition.fn


class Decorator(Protocol):
    """What ``@bb.job(…)`` answers."""

    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Job[P, R]: ...


def _asked_of_callers(fn: Callable[..., object], provided: Collection[str]) -> inspect.Signature:
    """Return a signature for frameworks that fill it from requests: what the engine provides is nobody's to send."""
    signature = inspect.signature(fn)
    asked = [parameter for name, parameter in signature.parameters.items() if name not in provided]
    return signature.replace(parameters=asked)


def _mark_coroutine_function(job: Any, fn: Callable[..., object]) -> None:  # noqa: ANN401 - what is set is no part of a job
    """Make frameworks that ask await the job's call instead of dropping it in a thread."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(job)
        return
    # Python 3.11 has no mark that all who ask look for, but it takes what has the parts of a function for one.
    code, job.__defaults__, job.__kwdefaults__ = fn.__code__, fn.__defaults__, fn.__kwdefaults__
    job.__code__ = code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
