"""The reference says what the code says, and leaves nothing out."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, TypedDict

import pytest

import backburner
from backburner import config, errors, sinks, testing
from scripts.reference.fields import fields
from scripts.reference.settings import EXAMPLES, default_of, variable_of
from tests.docs.pages import ROOT, all_blocks

if TYPE_CHECKING:
    from types import ModuleType


def test_pages_made_of_the_code_are_up_to_date() -> None:
    """The command line, the errors, the settings, and what is told by name, as they are now."""
    subprocess.run([sys.executable, "scripts/write_reference.py", "--check"], cwd=ROOT, check=True)


@pytest.mark.parametrize("module", [backburner, errors, sinks, testing], ids=lambda module: module.__name__)
def test_every_public_name_is_documented(module: ModuleType) -> None:
    """What can be imported stands on a page, by itself or with the module that it is from."""
    directives = "".join(block.text for block in all_blocks("{eval-rst}"))
    named = {*re.findall(r"^\.\. auto(?:class|function|exception|data):: ([\w.]+)", directives, re.MULTILINE)}
    whole = {*re.findall(r"^\.\. automodule:: ([\w.]+)\n(?!   :no-members:)", directives, re.MULTILINE)}
    for name in module.__all__:
        home = getattr(getattr(module, name), "__module__", module.__name__)
        assert f"{module.__name__}.{name}" in named or {module.__name__, home} & whole, name


def test_every_setting_is_told() -> None:
    """Each option that has a variable is in the table, and what the table says of it can be written."""
    assert {variable_of(option) for option in EXAMPLES} == set(config._VARIABLES)
    for option, example in EXAMPLES.items():
        config.load({variable_of(option): example})
        default = default_of(option)
        if default:
            assert config.load({variable_of(option): default}) == config.load({})


class Base(TypedDict, total=False):
    """One that another is made of."""

    first: int
    """The first."""


class Whole(Base, total=False):
    """One that is made of another."""

    second: str


def test_options_are_told_with_those_of_their_bases() -> None:
    """A `TypedDict` is shown with every field there is, and what is said below it."""
    assert list(fields(Whole)) == [("first", "int", "The first."), ("second", "str", "")]
