"""The Backburner that MODULE:NAME means."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, cast

import click

from backburner.app import Backburner
from backburner.cli.exits import Exit, Failed

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["find"]


def find(target: str) -> Backburner:
    """Import what is named; the command ends, and says where it failed and what there is instead, if it cannot be had."""
    name, colon, attribute = target.partition(":")
    if not (name and colon and attribute):
        raise click.UsageError(f"{target!r} is no path to a Backburner; write it like app.jobs:bb")
    if not all(part.isidentifier() for part in name.split(".")) or name.endswith(".py"):
        dotted = ".".join(filter(None, name.removesuffix(".py").replace("/", ".").split(".")))
        raise click.UsageError(f"{name} is no module's name: it is imported, so write {dotted}:{attribute}")
    module = _import(name)
    found = getattr(module, attribute, None)
    if isinstance(found, Backburner):
        return cast("Backburner", found)
    there = [known for known, value in vars(module).items() if isinstance(value, Backburner)]
    mend = f"it has {', '.join(f'{name}:{known}' for known in there)}" if there else "it has no Backburner at all"
    what = "has no such name" if found is None else f"is {type(found).__name__}, not a Backburner"
    raise click.UsageError(f"{target} {what}; {mend}")


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds texts
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        raise Failed(f"{name} cannot be imported: {_why(error, name)}", Exit.REFUSED) from error


def _why(error: Exception | SystemExit, name: str) -> str:
    """Say what was raised, and where in the user's own code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
    match error:
        case ModuleNotFoundError(name=str(missing)) if not frames and f"{name}.".startswith(f"{missing}."):
            return f"there is no module {missing} in {os.getcwd()}, nor is one installed"  # noqa: PTH109
        case SyntaxError(filename=str(filename), lineno=int(line)):
            return f"{type(error).__name__}: {error.msg} ({filename}, line {line}: {(error.text or '').strip()})"
        case ImportError() if "partially initialized" in str(error):
            chain = " → ".join(dict.fromkeys(frame.filename for frame in frames))
            return (
                f"its modules import each other, {chain}, so that one is not whole yet when the other needs it{place}: move "
                "one of the imports to where it is used"
            )
        case SystemExit():
            return f"it ends the program, with {error.code!r}{place}"
        case _:
            return f"{type(error).__name__}: {error}{place}"


def _is_own(filename: str) -> bool:
    """Tell a user's file from the import machinery, from this program and from installed packages."""
    installed = (sysconfig.get_path("stdlib"), "<frozen", __file__)
    return "site-packages" not in filename and not filename.startswith(installed)
