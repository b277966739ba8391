"""A call of a job: a function bound to arguments, not yet stored."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from backburner.errors import CallNotUsed
from backburner.jobs.definition import Definition
from backburner.jobs.inline import run_here
from backburner.jobs.options import CallOptions

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Call", "take"]

R = TypeVar("R")


class Call(msgspec.Struct, Generic[R], eq=False):
    """A job bound to arguments, not yet stored. Awaiting it runs it right here: no store, no retry, no timeout."""

    definition: Definition
    #: Arguments by name, defaults applied.
    bound: Mapping[str, object]
    #: What the caller provides in place of the job's dependencies.
    given: Mapping[str, object] | None = None
    #: Presets for `create_task`.
    options: CallOptions | None = None
    #: It was stored, awaited or refused: somebody has dealt with it.
    used: bool = False

    def __await__(self) -> Generator[object, None, R]:
        """Run the function here; a `def` job runs in a thread, so that the loop goes on."""
        self.used = True
        running: Generator[object, None, R] = run_here(self.definition, self.bound, self.given or {}).__await__()
        return running

    def __repr__(self) -> str:
        shown = dict(self.definition.signature.shown(self.bound))
        shown |= {name: repr(value) for name, value in (self.given or {}).items()}
        return f"{self.definition.kind}({', '.join(f'{name}={text}' for name, text in shown.items())})"

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
