"""Packages that only some sinks need."""

from __future__ import annotations

from importlib.util import find_spec

from backburner.errors import CallRefused

__all__ = ["require"]


def require(package: str, *, extra: str, sink: str) -> None:
    """Raise `CallRefused` unless a package is installed, naming the extra that brings it."""
    if find_spec(package) is None:
        raise CallRefused(f"{sink}() needs {package}, which is not installed: pip install 'backburner[{extra}]'")
