"""An alert as code declares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.errors import InvalidOption
from backburner.model import duration
from backburner.model.names import LONGEST_NAME, check_name
from backburner.model.times import duration as length
from backburner.observability.alerts.grammar import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from backburner.observability.alerts.condition import Condition

__all__ = ["Rule", "Rules", "make_rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, and how often it may be told that it holds."""

    name: str
    condition: Condition
    #: Microseconds between two tellings that it fires, at least.
    pause: int


def make_rule(when: object, name: object, at_most_every: timedelta | float | str) -> Rule:
    """Return an alert, checked; named by its condition, unless it has a name. Raises `InvalidAlert`, `InvalidOption`."""
    condition = parse(when)
    if name is None and len(condition.text) > LONGEST_NAME:
        raise InvalidOption(
            f"an alert without a name is named by its condition, and this has {len(condition.text)} characters, "
            f"{LONGEST_NAME} are allowed: give it a name=",
            option="name",
        )
    checked = check_name(condition.text if name is None else name, "name")
    return Rule(checked, condition, _pause(at_most_every))


def _pause(value: timedelta | float | str) -> int:
    if not isinstance(value, str):
        return length(value, "at_most_every")
    try:
        return duration.parse(value)
    except ValueError as error:
        raise InvalidOption(f"at_most_every: {error}", option="at_most_every") from None


class Rules:
    """The alerts of an app, by name; two of one name are refused."""

    def __init__(self) -> None:
        self._known: dict[str, Rule] = {}
        #: Called when one was added.
        self.changed: set[Callable[[], None]] = set()

    def check(self, rule: Rule) -> None:
        """Raise `InvalidOption` where another has its name."""
        known = self._known.get(rule.name)
        if known is not None:
            raise InvalidOption(
                f"alert {rule.name!r} is declared twice, the other time when {known.condition.text!r}; give one another "
                "name=, or several to= to one",
                option="name",
            )

    def add(self, rule: Rule) -> None:
        """Add one; it was checked."""
        self._known[rule.name] = rule
        for told in self.changed:
            told()

    def __iter__(self) -> Iterator[Rule]:
        return iter(tuple(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: object) -> bool:
        return name in self._known
