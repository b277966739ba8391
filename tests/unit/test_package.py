"""The package as a whole: what importing it costs its guest."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

DRIVERS = ("sqlite3", "aiosqlite", "asyncpg", "redis")
COMMAND_LINE = ("click", "rich")
WEB_FRAMEWORKS = ("starlette", "fastapi", "jinja2", "uvicorn")


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and return the top-level modules it holds afterwards."""
    # Coverage, started in the child, would load sqlite3 for itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    child = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return set(child.stdout.split())


@pytest.mark.parametrize("modules", [DRIVERS, COMMAND_LINE, WEB_FRAMEWORKS], ids=["drivers", "cli", "web"])
def test_import_is_light(modules: tuple[str, ...]) -> None:
    """`import backburner` loads no driver, no command line and no web framework."""
    loaded = loaded_by("from backburner import Backburner")
    assert "backburner" in loaded
    assert loaded.isdisjoint(modules)


def test_loaded_by_sees_a_driver() -> None:
    """The measure itself sees what a statement loads."""
    assert "sqlite3" in loaded_by("import sqlite3")
