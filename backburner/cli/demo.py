"""`backburner demo`: the example program, as it is in the source tree and in the wheel."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, Failed

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["command"]

_NAME = "stdlib_census"
_PACKAGE = Path(__file__).parent.parent
#: In a wheel, in a checkout.
_PLACES = (_PACKAGE / "examples", _PACKAGE.parent / "examples")


@click.command("demo", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(*, arguments: tuple[str, ...]) -> None:
    """Watch real work survive a kill -9."""
    code = _program().main(list(arguments))
    raise click.exceptions.Exit(code)


def _program() -> ModuleType:
    """Import the example from its file, under its own name, so that its worker processes find it as well."""
    path = next((path for place in _PLACES if (path := place / f"{_NAME}.py").is_file()), None)
    spec = None if path is None else spec_from_file_location(_NAME, path)
    if spec is None or spec.loader is None:
        raise Failed(f"this installation lacks the demo, {_PLACES[0] / _NAME}.py", Exit.PARTLY)
    module = sys.modules[_NAME] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
