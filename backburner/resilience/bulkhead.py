"""Bulkheads: so many runs at once, over all nodes, for whatever shares one name."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from backburner.model.lane import Limit
from backburner.model.names import check_name
from backburner.resilience.checks import check_whole

__all__ = ["Bulkhead"]


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """At most ``slots`` runs at once, over all nodes, of the jobs that name it: so one flood leaves room for the rest.

    The name is Michael Nygard's, "Release It!" (2007). Raises `InvalidOption`.
    """

    name: str
    _: KW_ONLY
    slots: int = 10

    def __post_init__(self) -> None:
        """Check."""
        check_name(self.name, "bulkhead")
        check_whole(self.slots, "slots")

    def limit(self) -> Limit:
        """Return what the bulkhead's lane allows."""
        return Limit(slots=self.slots)
