"""How one guilty item is found in a batch that a store refuses for its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Halving"]


class Halving:
    """Goes through the parts of a batch that are to be tried, first to last; at first the whole is one.

    A part that is refused is split, and its halves come next; one item that is refused alone is the guilty one. With g
    guilty items among n, at most about 2·g·log₂(n) tries are made. What a try does, and how it is undone, is the
    store's::

        plan = Halving(len(items))
        for part in plan:
            try:
                store(items[part.start : part.stop])
            except Refused:
                if not plan.split(part):
                    refuse(items[part.start])
    """

    def __init__(self, count: int) -> None:
        self._parts = [range(count)] if count else []

    def __iter__(self) -> Iterator[range]:
        """Return the parts still to be tried, one by one."""
        while self._parts:
            yield self._parts.pop()

    def split(self, part: range) -> bool:
        """Put back the halves of a part; False when it cannot be split."""
        if len(part) == 1:
            return False
        middle = part.start + len(part) // 2
        self._parts += (range(middle, part.stop), range(part.start, middle))
        return True
