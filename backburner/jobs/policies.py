"""The policies that an engine's jobs name: each declared once, or the default of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from backburner.errors import InvalidOption
from backburner.model.lane import Limit, limit_name
from backburner.resilience.adaptive import Adaptive
from backburner.resilience.breaker import Breaker
from backburner.resilience.budget import Budget
from backburner.resilience.bulkhead import Bulkhead

if TYPE_CHECKING:
    from backburner.jobs.definition import Definition

__all__ = ["Policies"]

P = TypeVar("P", Breaker, Budget, Bulkhead)


class Policies:
    """Collects what declarations say; a name has one policy, whichever job declares it, and however many name it."""

    def __init__(self) -> None:
        self._declared: dict[str, tuple[Breaker | Budget | Bulkhead, Definition]] = {}
        #: What jobs name, by the name of its limit.
        self._breakers: set[str] = set()
        self._budgets: set[str] = set()
        self._bulkheads: set[str] = set()
        #: Limits of a kind's own, by name.
        self._own: dict[str, Limit] = {}
        self.adaptive: dict[str, Adaptive] = {}
        #: The adaptive limits that count by keys, so that nobody knows how full they are in all.
        self.keyed: set[str] = set()
        #: Grows with each declaration that names a limit.
        self.version = 0

    def check(self, definition: Definition) -> None:
        """Raise `InvalidOption` where a policy of the same name was declared otherwise, naming both jobs."""
        lanes = definition.options.lanes
        if lanes is None:
            return
        for policy in (lanes.breaker, lanes.budget, lanes.bulkhead):
            if policy is None or isinstance(policy, str):
                continue
            known = self._declared.get(_limit_name(policy))
            if known is not None and known[0] != policy:
                word = type(policy).__name__.lower()
                raise InvalidOption(
                    f"{word} {policy.name!r} is declared twice, and otherwise: by {known[1].kind} ({known[1].place}) and "
                    f'by {definition.kind} ({definition.place}); declare it once, and write {word}="{policy.name}" elsewhere',
                    option=word,
                )

    def add(self, definition: Definition) -> None:
        """Take what a declaration names; it was checked."""
        lanes = definition.options.lanes
        if lanes is None:
            return
        for policy, named in (
            (lanes.breaker, self._breakers),
            (lanes.budget, self._budgets),
            (lanes.bulkhead, self._bulkheads),
        ):
            if policy is None:
                continue
            if isinstance(policy, str):
                named.add(policy)
            else:
                named.add(policy.name)
                self._declared[_limit_name(policy)] = policy, definition
        own = limit_name("concurrency", definition.kind)
        if isinstance(lanes.concurrency, Adaptive):
            self.adaptive[own] = lanes.concurrency
            if lanes.key:
                self.keyed.add(own)
        elif lanes.concurrency is not None:
            self._own[own] = Limit(slots=lanes.concurrency)
        if lanes.rate is not None:
            self._own[limit_name("rate", definition.kind)] = Limit(rate=lanes.rate)
        self.version += 1

    @property
    def breakers(self) -> dict[str, Breaker]:
        """The breakers that jobs name, by the names of their limits."""
        return {limit_name("breaker", name): self._policy(Breaker, "breaker", name) for name in self._breakers}

    def limits(self) -> dict[str, Limit]:
        """Return what the lanes allow as far as the code alone says; those of breakers and adaptive ones change."""
        return {
            **self._own,
            **{limit_name("budget", name): self._policy(Budget, "budget", name).limit() for name in self._budgets},
            **{
                limit_name("bulkhead", name): self._policy(Bulkhead, "bulkhead", name).limit()
                for name in self._bulkheads
            },
        }

    def _policy(self, kind: type[P], family: str, name: str) -> P:
        declared = self._declared.get(limit_name(family, name))
        return declared[0] if declared is not None and isinstance(declared[0], kind) else kind(name)


def _limit_name(policy: Breaker | Budget | Bulkhead) -> str:
    return limit_name(type(policy).__name__.lower(), policy.name)
