"""The page of errors: their tree, out of the code, above what the site says of each."""

from __future__ import annotations

from inspect import getdoc
from typing import TYPE_CHECKING

from backburner import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["page"]

HEAD = """# Errors

All that is raised on purpose is a `BackburnerError`. A message says what was refused or failed, where, and how to mend it;
what a program may want to know is an attribute. Those that apps catch are in `backburner` itself, all of them in
`backburner.errors`. This page is made of the code (`python scripts/write_reference.py`).

"""

TAIL = """
`CallNotUsed` is a warning: a call of a job was neither stored nor awaited.

## Each of them

```{eval-rst}
.. automodule:: backburner.errors
   :show-inheritance:
   :exclude-members: CallNotUsed
```
"""


def page() -> str:
    """Return the page."""
    return HEAD + "\n".join(_branch(errors.BackburnerError, 0)) + "\n" + TAIL


def _branch(error: type[Exception], depth: int) -> Iterator[str]:
    first = (getdoc(error) or "").splitlines()[0].removesuffix(".").replace("``", "`")
    also = [base.__name__ for base in error.__bases__ if base.__module__ == "builtins" and base is not Exception]
    yield f"{'  ' * depth}- `{error.__name__}`{f' (a `{also[0]}`)' if also else ''}: {first}"
    for name in errors.__all__:
        below = getattr(errors, name)
        if isinstance(below, type) and error in below.__bases__:
            yield from _branch(below, depth + 1)
