"""What the engine knows of a kind, and the checks of a declaration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UnsetType

from backburner.codec.signature import Signature
from backburner.errors import InvalidOption, NotAJob
from backburner.jobs.dependencies import Dependencies
from backburner.jobs.lanes import Lanes
from backburner.jobs.process_place import place_of
from backburner.jobs.unique import Unique
from backburner.model.job import DEFAULT_PRIORITY, DEFAULT_QUEUE, PRIORITIES
from backburner.model.names import check_name
from backburner.model.times import duration
from backburner.resilience.retry import RetryPolicy, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from backburner.jobs.home import Home

__all__ = [
    "Definition",
    "Executor",
    "JobOptions",
    "check_priority",
    "check_tags",
    "check_timeout",
    "define",
]

#: Where a job runs: on the engine's loop, in a thread of the engine's own, or in a process of its own.
Executor = Literal["loop", "thread", "process"]


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a declaration sets for every call of its job; None leaves it to the engine."""

    queue: str = DEFAULT_QUEUE
    priority: int = DEFAULT_PRIORITY
    retry: RetryPolicy | None = None
    #: Microseconds; 0 is no limit.
    timeout: int | None = None
    #: Microseconds from storing within which the job must have started.
    expires: int | None = None
    tags: tuple[str, ...] = ()
    unique: Unique | None = None
    lanes: Lanes | None = None


class Definition:
    """What the engine knows of a kind: how to read its arguments, run it, and write its result."""

    __slots__ = (
        "aliases",
        "dependencies",
        "executor",
        "fn",
        "homes",
        "kind",
        "options",
        "place",
        "plain",
        "signature",
        "watched",
    )

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        kind: str,
        executor: Executor,
        options: JobOptions,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.fn = fn
        self.kind = kind
        #: Names under which jobs of this kind were stored before.
        self.aliases = aliases
        self.executor: Executor = executor
        self.options = options
        self.dependencies = Dependencies.of(fn, kind)
        self.signature = Signature.of(fn, kind, exclude=self.dependencies.names if self.dependencies else ())
        self.place = f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}"
        #: It runs on the loop and nothing has to be opened for it.
        self.plain = executor == "loop" and self.dependencies is None
        #: The limits that go by how its runs end.
        self.watched = () if options.lanes is None else options.lanes.watched(kind)
        #: The engines that know it.
        self.homes: list[Home] = []


def define(
    fn: Callable[..., object],
    *,
    name: str | None,
    queue: str,
    priority: int,
    retry: str | RetryPolicy | None,
    timeout: timedelta | float | UnsetType | None,
    expires: timedelta | float | None,
    unique: Unique | None,
    tags: Sequence[str],
    executor: str | None,
    aliases: Sequence[str],
    prefix: str,
    lanes: Lanes | None = None,
) -> Definition:
    """Check a declaration and make its definition; raises `NotAJob` or `InvalidOption`."""
    _check_function(fn)
    own = check_name(name if name is not None else fn.__name__, "a job's name")
    kind = check_name(f"{prefix}.{own}" if prefix else own, "a job's name with its registry's prefix")
    options = JobOptions(
        queue=check_name(queue, "queue"),
        priority=check_priority(priority),
        retry=None if retry is None else policy(retry),
        timeout=None if isinstance(timeout, UnsetType) else check_timeout(timeout),
        expires=None if expires is None else duration(expires, "expires"),
        tags=check_tags(tags),
        unique=unique,
        lanes=lanes,
    )
    definition = Definition(
        fn, kind=kind, executor=_executor(fn, kind, executor), options=options, aliases=_check_aliases(kind, aliases)
    )
    if unique is not None:
        if not isinstance(unique, Unique):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(f"unique={unique!r} is no Unique; write Unique(), or Unique(by=[…])", option="unique")
        unique.check(kind, definition.signature.names)
    if lanes is not None:
        lanes.check(kind, definition.signature.names)
    return definition


def _check_aliases(kind: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InvalidOption(f"aliases takes a list of names, not one: aliases=[{value!r}]", option="aliases")
    aliases = tuple(check_name(alias, "an alias") for alias in value)
    if kind in aliases:
        raise InvalidOption(f"{kind} is the job's own name; aliases are the names it had before", option="aliases")
    return aliases


def check_priority(value: int) -> int:
    """Return a priority, 0 (first) to 9, or raise `InvalidOption`."""
    if type(value) is not int or value not in PRIORITIES:
        raise InvalidOption(f"priority is a whole number from 0 (first) to 9 (last), not {value!r}", option="priority")
    return value


def check_timeout(value: timedelta | float | None) -> int:
    """Return a timeout in microseconds, 0 for None (no limit), or raise `InvalidOption`."""
    if value is None:
        return 0
    length = duration(value, "timeout")
    if length == 0:
        raise InvalidOption("timeout=0 would end every run at once; timeout=None sets no limit", option="timeout")
    return length


def check_tags(value: Sequence[str]) -> tuple[str, ...]:
    """Return tags as a tuple, or raise `InvalidOption`."""
    if isinstance(value, str) or not isinstance(value, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(f"tags takes a list of names, not one: tags=[{value!r}]", option="tags")
    return tuple(check_name(tag, "a tag") for tag in value)


def _executor(fn: Callable[..., object], kind: str, given: str | None) -> Executor:
    if inspect.iscoroutinefunction(fn):
        if given is not None:
            raise InvalidOption(f"{fn.__name__} is async and runs on the loop; leave executor= out", option="executor")
        return "loop"
    if given == "process":
        place_of(fn, kind)
        return "process"
    if given not in {None, "thread"}:
        raise InvalidOption(
            f'executor={given!r} is not known; a def job runs in a "thread" or in a "process"', option="executor"
        )
    return "thread"


def _check_function(fn: object) -> None:
    """Refuse what no other process could find again, or what is no plain function."""
    if isinstance(known := getattr(fn, "definition", None), Definition):
        raise NotAJob(f"{known.kind} is a job already; decorate the function once")
    if isinstance(fn, functools.partial):
        raise NotAJob("a partial has no name of its own; write a function that makes the call, and decorate that")
    if isinstance(fn, staticmethod | classmethod) or inspect.ismethod(fn):
        raise NotAJob("a method cannot be a job: its object would have to be stored; decorate a module-level function")
    if not inspect.isfunction(fn):
        raise NotAJob(f"a job is a function (def or async def), not {type(fn).__name__}: {fn!r}")
    if fn.__name__ == "<lambda>":
        raise NotAJob("a lambda has no name to be stored under; write it as a def and decorate that")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise NotAJob(f"{fn.__name__} is a generator; a job returns its result: collect, then return")
    if "." in fn.__qualname__.rpartition("<locals>.")[2]:
        raise NotAJob(f"{fn.__qualname__} is a method: its object would have to be stored; decorate a plain function")
