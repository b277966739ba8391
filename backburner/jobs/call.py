"""A call of a job: a function bound to arguments, not yet stored."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from backburner.errors import CallNotUsed
from backburner.jobs.inline import run_here

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from backburner.jobs.definition import Definition
    from backburner.jobs.options import CallOptions

__all__ = ["Call", "take"]

R = TypeVar("R")

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Call(Generic[R]):
    """A job bound to arguments, not yet stored. Awaiting it runs it right here: no store, no retry, no timeout."""

    __slots__ = ("bound", "definition", "given", "options", "used")

    def __init__(
        self,
        definition: Definition,
        bound: Mapping[str, object],
        given: Mapping[str, object] = _NOTHING,
        options: CallOptions | None = None,
    ) -> None:
        #: It was stored, awaited or refused: somebody has dealt with it.
        self.used = False
        self.definition = definition
        #: Arguments by name, defaults applied.
        self.bound = bound
        #: What the caller provides in place of the job's dependencies.
        self.given = given
        #: Presets for `create_task`.
        self.options = options

    def __await__(self) -> Generator[object, None, R]:
        """Run the function here; a `def` job runs in a thread, so that the loop goes on."""
        self.used = True
        running: Generator[object, None, R] = run_here(self.definition, self.bound, self.given).__await__()
        return running

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in {**self.bound, **self.given}.items())
        return f"{self.definition.kind}({arguments})"

    def __del__(self) -> None:
        if not self.used:
            warnings.warn(
                f"{reprlib.repr(self)} was neither stored nor awaited: write `await bb.create_task(…)`, or await it to "
                "run it here",
                CallNotUsed,
                stacklevel=2,
                source=self,
            )


def take(calls: object) -> None:
    """Know that a call, or each of many, was handed over: whatever becomes of it, its caller is told."""
    many = cast("Iterable[object]", calls) if isinstance(calls, Iterable) else (calls,)
    for call in many:
        if type(call) is Call:
            call.used = True
