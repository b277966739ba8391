"""What plain calls answer, for those who await them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["DONE"]


class _Done:
    """Something that is done already."""

    def __await__(self) -> Generator[object, None, None]:
        return
        yield


DONE = _Done()
