"""What runs say of the dependency they call: how many ended, failed, were slow."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from backburner.resilience.rules import Rules, by_class, nearest

__all__ = ["Tally", "Watcher"]


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """How some runs ended. Tallies of several nodes, or moments, are added."""

    calls: int = 0
    failures: int = 0
    #: A run may be slow and fail as well.
    slow: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return both."""
        return Tally(self.calls + other.calls, self.failures + other.failures, self.slow + other.slow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """A policy that looks at how runs end."""

    #: What counts as a failure, but for what `ignore` names nearer; a run that raises anything else says nothing.
    failures: Rules = Exception
    ignore: Rules = ()
    #: The microseconds that a run may take and not be slow; None is no bound.
    slow_after: int | None = field(init=False, repr=False, compare=False)
    _options: dict[type[Exception], str] = field(init=False, repr=False, compare=False)

    def _watch(self, slow_after: int | None) -> None:
        """Check, and note, what counts and what is slow."""
        object.__setattr__(self, "slow_after", slow_after)
        object.__setattr__(self, "_options", by_class({"failures": self.failures, "ignore": self.ignore}))

    def counts(self, error: type[BaseException]) -> bool:
        """Say whether an exception of this class is a failure: of its classes the nearest one named decides."""
        return nearest(self._options, error) == "failures"

    def tally(self, error: type[BaseException] | None, took: int) -> Tally:
        """Return what a run of so many microseconds says: nothing at all, if it raised what does not count."""
        if error is not None and not self.counts(error):
            return Tally()
        return Tally(1, int(error is not None), int(self.slow_after is not None and took > self.slow_after))
