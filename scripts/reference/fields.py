"""What the source says of a `TypedDict`."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import TYPE_CHECKING, is_typeddict

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fields"]


def fields(typed: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and text of each field; a `TypedDict` does not know its bases, its source does."""
    (source,) = ast.parse(inspect.getsource(typed)).body
    assert isinstance(source, ast.ClassDef)
    for base in source.bases:
        parent = vars(sys.modules[typed.__module__]).get(ast.unparse(base))
        if isinstance(parent, type) and is_typeddict(parent):
            yield from fields(parent)
    for statement, below in zip(source.body, [*source.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, ast.unparse(statement.annotation), _text(below)


def _text(statement: ast.stmt | None) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
        case _:
            return ""
