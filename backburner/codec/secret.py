"""The word for values that are kept from being shown, and what stands in their place."""

from __future__ import annotations

from typing import Final

__all__ = ["STARS", "Secret"]

#: What is shown instead of a secret.
STARS: Final = "***"


class Secret:
    """Marks what must not be shown: ``password: Annotated[str, Secret]``.

    On a job's parameters, on what it returns, and on fields of dataclasses, structs, models and `TypedDict`, however deep
    inside. The job gets the value itself; logs, the command line, dead letters and errors show ``***``.
    """

    __slots__ = ()
