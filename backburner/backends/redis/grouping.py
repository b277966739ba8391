"""Dead letters by what they died of, counted as they come by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.ports.jobs import FailureGroup

if TYPE_CHECKING:
    from backburner.model.job import JobRecord

__all__ = ["Grouping"]


class Grouping:
    """The groups of the letters seen so far."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def add(self, letter: JobRecord) -> None:
        """Count a letter."""
        group = self._groups.get(letter.fingerprint)
        if group is None:
            group = self._groups[letter.fingerprint] = _Group(letter)
        group.add(letter)

    def largest(self, limit: int) -> tuple[FailureGroup, ...]:
        """Return the largest groups, of equal size by fingerprint."""
        groups = sorted(map(_Group.told, self._groups.values()), key=lambda group: (-group.count, group.fingerprint))
        return tuple(groups[:limit])


class _Group:
    """One group."""

    __slots__ = ("_first", "_kinds", "_newest")

    def __init__(self, letter: JobRecord) -> None:
        self._newest = letter
        self._first = letter.ended_at or 0
        self._kinds: dict[str, int] = {}

    def add(self, letter: JobRecord) -> None:
        self._kinds[letter.kind] = self._kinds.get(letter.kind, 0) + 1
        self._first = min(self._first, letter.ended_at or 0)
        if (letter.ended_at or 0, letter.id) > (self._newest.ended_at or 0, self._newest.id):
            self._newest = letter

    def told(self) -> FailureGroup:
        newest = self._newest
        return FailureGroup(
            fingerprint=newest.fingerprint,
            error=newest.error,
            message=newest.message,
            reason=newest.reason,
            count=sum(self._kinds.values()),
            first=self._first,
            last=newest.ended_at or 0,
            kinds=self._kinds,
            sample=newest.id,
        )
