"""Where another process finds a job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backburner.errors import NotAJob

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Place", "place_of"]


class Place(msgspec.Struct, frozen=True):
    """Where the module that declares a job is found."""

    #: What to import, unless ``file`` is set.
    module: str
    #: The program that the engine's process was started with, when the job is declared there.
    file: str | None
    #: Whether the job is declared in that program, whichever way it is found.
    main: bool
    #: The name of the job's function in it, and the job's kind.
    name: str
    kind: str


def place_of(fn: Callable[..., object], kind: str) -> Place:
    """Return where a child finds the job that ``fn`` was declared as; raises `NotAJob` where none could."""
    name = fn.__qualname__
    if "<locals>" in name:
        raise NotAJob(
            f"{kind}: {name} is declared inside a function, where its own process cannot find it; declare it at the top "
            "level of a module"
        )
    if fn.__module__ != "__main__":
        return Place(fn.__module__, None, main=False, name=name, kind=kind)
    main = sys.modules["__main__"]
    spec = main.__spec__
    if spec is not None and spec.name != "__main__":  # python -m …
        return Place(spec.name, None, main=True, name=name, kind=kind)
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        raise NotAJob(
            f"{kind}: {name} was typed at a prompt, or stands in no file of its own, so its own process cannot find it; "
            "write it in a module and import that"
        )
    return Place("__main__", str(Path(file).absolute()), main=True, name=name, kind=kind)
