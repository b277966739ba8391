"""The package as a whole: what importing it costs its guest."""

from __future__ import annotations

import pytest

from tests.fresh import loaded_by

DRIVERS = ("sqlite3", "aiosqlite", "asyncpg", "redis")
COMMAND_LINE = ("click", "rich")
VALIDATORS = ("jsonschema", "referencing")
WEB_FRAMEWORKS = ("starlette", "fastapi", "jinja2", "uvicorn")


@pytest.mark.parametrize(
    "modules", [DRIVERS, COMMAND_LINE, VALIDATORS, WEB_FRAMEWORKS], ids=["drivers", "cli", "validators", "web"]
)
def test_import_is_light(modules: tuple[str, ...]) -> None:
    """`import backburner` loads no driver, no command line, no validator and no web framework."""
    loaded = loaded_by("from backburner import Backburner")
    assert "backburner.app" in loaded
    assert loaded.isdisjoint(modules)


def test_loaded_by_sees_a_driver() -> None:
    """The measure itself sees what a program loads."""
    assert "sqlite3" in loaded_by("import sqlite3")
