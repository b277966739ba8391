"""The jobs that an engine knows, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import DuplicateKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.jobs.definition import Definition

__all__ = ["Kinds"]


class Kinds:
    """Definitions by kind; two of one name are refused."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}
        self.names: frozenset[str] = frozenset()
        #: Called when a kind was added.
        self.changed: Callable[[], None] | None = None

    def add(self, definition: Definition) -> None:
        """Add a definition; raises `DuplicateKind` naming both places."""
        known = self._definitions.setdefault(definition.kind, definition)
        if known is not definition:
            raise DuplicateKind(
                f"{definition.kind} is registered twice: {known.place} and {definition.place}; "
                f'give one another name: @bb.job(name="…")'
            )
        self.names = frozenset(self._definitions)
        if self.changed is not None:
            self.changed()

    def get(self, kind: str) -> Definition | None:
        """Return the definition of a kind, or None."""
        return self._definitions.get(kind)

    def __contains__(self, definition: Definition) -> bool:
        return self._definitions.get(definition.kind) is definition
