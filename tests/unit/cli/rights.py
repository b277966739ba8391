"""A user whom permissions bind, whoever runs the tests."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["without_rights"]

_NOBODY = 65534


@contextmanager
def without_rights() -> Generator[None]:
    """Be a user whom permissions bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
