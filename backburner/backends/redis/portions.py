"""Large writes, in portions: the server does nothing else while a script runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from backburner.errors import StoreError
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["in_portions"]

#: What one script stores, if no item has more: a few milliseconds, of jobs with unique keys three times that.
_PORTION = 500

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


async def in_portions(
    items: Sequence[_Item], size: Callable[[_Item], int], write: Callable[[Sequence[_Item]], Awaitable[_Answer]]
) -> list[_Answer]:
    """Write items, each whole, in portions of about as much as one script is to store; at least one portion.

    Returns what each write answered. Once one has stored something, the error of a later one says that it may have.
    """
    portions = _divided(items, size)
    if len(portions) == 1:
        return [await write(items)]
    return await to_the_end(_each(portions, write))


async def _each(
    portions: Sequence[Sequence[_Item]], write: Callable[[Sequence[_Item]], Awaitable[_Answer]]
) -> list[_Answer]:
    answers: list[_Answer] = []
    for portion in portions:
        try:
            answers.append(await write(portion))
        except StoreError as error:
            if answers:
                # What went before is stored.
                error.stored = "unknown"
            raise
    return answers


def _divided(items: Sequence[_Item], size: Callable[[_Item], int]) -> list[list[_Item]]:
    portions: list[list[_Item]] = [[]]
    taken = 0
    for item in items:
        if taken and taken + size(item) > _PORTION:
            portions.append([])
            taken = 0
        portions[-1].append(item)
        taken += size(item)
    return portions
