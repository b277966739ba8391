"""The SQL, read from its files: statements, and what makes a schema.

In every file ``{schema}`` stands for the quoted name of the schema, and ``{literal}`` for the same as a text.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["calling", "fill", "load", "read", "read_all"]

_HERE = files("backburner.backends.postgres")
_INCLUDE = "-- include "


@cache
def load(name: str, schema: str) -> str:
    """Return the statement of ``sql/<name>.sql``, with the parts it includes, for a schema."""
    return fill(_statement(name), schema)


@cache
def calling(function: str, schema: str) -> str:
    """Return the statement that calls a function of a verb: one document in, one out, as texts to every driver."""
    return fill(f"SELECT {{schema}}.{function}($1::text::json)::text", schema)


def read(path: str) -> str:
    """Return a file of the schema as it stands."""
    return _HERE.joinpath("schema", path).read_text("utf-8")


def read_all(folder: str) -> dict[str, str]:
    """Return the files of a folder of the schema by their names, in the order of these."""
    found: list[Traversable] = [
        file for file in _HERE.joinpath("schema", folder).iterdir() if file.name.endswith(".sql")
    ]
    return {
        file.name.removesuffix(".sql"): file.read_text("utf-8") for file in sorted(found, key=lambda file: file.name)
    }


def fill(text: str, schema: str) -> str:
    """Name the schema in a text; the name has been checked, so that quoting it is enough."""
    return text.replace("{schema}", f'"{schema}"').replace("{literal}", f"'{schema}'")


def _statement(name: str) -> str:
    lines = _HERE.joinpath("sql", f"{name}.sql").read_text("utf-8").rstrip().splitlines()
    return "\n".join(
        _statement(line.removeprefix(_INCLUDE)) if line.startswith(_INCLUDE) else line
        for line in lines
        # The header is for readers; the server need not read it.
        if line.startswith(_INCLUDE) or not line.lstrip().startswith("--")
    )
