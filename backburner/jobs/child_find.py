"""In a child: imports the module that declares a job, and finds the job in it."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

from backburner.errors import UnknownKind
from backburner.jobs.job import Job
from backburner.jobs.process_loading import loading
from backburner.jobs.process_report import MAIN

if TYPE_CHECKING:
    from types import ModuleType

    from backburner.jobs.definition import Definition
    from backburner.jobs.frames import Load

__all__ = ["find"]


def find(load: Load) -> Definition:
    """Import the module of a job as the engine's process has, and return the job; raises what the import raises."""
    sys.path[:] = map(os.fsdecode, load.path)
    sys.argv[:] = map(os.fsdecode, load.argv)
    place = load.place
    with loading(place):
        module = importlib.import_module(place.module) if place.file is None else _run(place.file)
    definitions = [value.definition for value in vars(module).values() if isinstance(value, Job)]
    for definition in definitions:
        if definition.kind == place.kind and definition.fn.__qualname__ == place.name:
            return definition
    raise UnknownKind(
        f"{place.kind} is not in {place.file or place.module}, where its own process looks for it: the name "
        f"{place.name!r} at the top level has to be the job, also where the module is imported and not run"
    )


def _run(file: str) -> ModuleType:
    """Run the engine's main program once, under a name other than ``__main__``."""
    known = sys.modules.get(MAIN)
    if known is not None:
        return known
    # By its loader, not its suffix: a program may be called anything.
    spec = spec_from_file_location(MAIN, file, loader=SourceFileLoader(MAIN, file))
    assert spec is not None  # noqa: S101 - a loader was given
    assert spec.loader is not None  # noqa: S101
    module = module_from_spec(spec)
    sys.modules[MAIN] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[MAIN]
        raise
    # What asks for the main module means the program, never this child.
    sys.modules["__main__"] = module
    return module
