"""From an option's text to its value: a reader that raises `ValueError` becomes click's callback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST", "each", "reading"]

T = TypeVar("T")

#: More rows than any store answers at once: who asks for more than that is given that, and no store a number it cannot hold.
MOST: Final = 1_000_000_000


def reading(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """Read an option that may be left out."""

    def callback(ctx: click.Context, param: click.Parameter, text: str | None) -> T | None:
        return None if text is None else _read(read, text, ctx, param)

    return callback


def each(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[T, ...]]:
    """Read an option that may be repeated."""

    def callback(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[T, ...]:
        return tuple(_read(read, text, ctx, param) for text in texts)

    return callback


def _read(read: Callable[[str], T], text: str, ctx: click.Context, param: click.Parameter) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
