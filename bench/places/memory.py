"""Stores in memory, which no driver reaches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MemoryHost", "MemoryPlace"]


class MemoryPlace:
    """A store that is made with its engine."""

    url = "memory://"

    def raw(self) -> NoReturn:
        """There is no such thing."""
        raise AssertionError("memory has no driver")

    def fill(self, state: str, count: int, *, due_in: float = 0) -> NoReturn:
        """Only its engine stores here."""
        raise AssertionError(f"{count} {state} jobs in {due_in} s: only an engine stores in memory")


class MemoryHost:
    """This process."""

    description = "memory"

    @contextmanager
    def fresh(self) -> Iterator[MemoryPlace]:
        """Lend a store."""
        yield MemoryPlace()
