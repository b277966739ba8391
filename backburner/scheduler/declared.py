"""The schedules that stand in code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.errors import DuplicateSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backburner.scheduler.rule import ScheduleOptions
    from backburner.scheduler.triggers import Trigger

__all__ = ["Declaration", "Declarations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One schedule in code."""

    name: str
    kind: str
    #: Where it stands: file and line.
    place: str
    trigger: Trigger
    #: A call of a job, and what is said of the job; the engine makes of them what is stored.
    call: object
    said: Mapping[str, object]
    options: ScheduleOptions


class Declarations:
    """Schedules in code by name; two of one name are refused."""

    def __init__(self) -> None:
        self._known: dict[str, Declaration] = {}
        #: Called when one was added.
        self.changed: set[Callable[[], None]] = set()

    def add(self, declaration: Declaration) -> None:
        """Add one; the same again changes nothing. Raises `DuplicateSchedule`, naming both places."""
        other = self._known.setdefault(declaration.name, declaration)
        if other is not declaration:
            raise DuplicateSchedule(
                f"schedule {declaration.name!r} is declared twice: {other.place} and {declaration.place}; give one "
                f'another name: @bb.cron("…", name="…")'
            )
        for told in self.changed:
            told()

    def __iter__(self) -> Iterator[Declaration]:
        return iter(tuple(self._known.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(sorted(self._known))
