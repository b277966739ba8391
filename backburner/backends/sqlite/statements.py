"""The statements, read from their files when this module is imported."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["load"]

_INCLUDE = "-- include "


def load(name: str) -> str:
    """Return the statement of ``sql/<name>.sql``, with the parts it includes."""
    text = files("backburner.backends.sqlite.sql").joinpath(f"{name}.sql").read_text("utf-8")
    lines = text.rstrip().splitlines()
    return "\n".join(
        load(line.removeprefix(_INCLUDE)) if line.startswith(_INCLUDE) else line
        for line in lines
        # The header is for readers; what every execution has to walk over is kept short.
        if line.startswith(_INCLUDE) or not line.lstrip().startswith("--")
    )
