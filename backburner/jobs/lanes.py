"""The lanes of a job: which limits a declaration names, and which of their lanes one call asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from backburner.codec.marks import TRACE
from backburner.errors import InvalidOption
from backburner.model.lane import Rate, lane_name, limit_name
from backburner.model.names import check_name
from backburner.resilience.adaptive import Adaptive
from backburner.resilience.breaker import Breaker
from backburner.resilience.budget import Budget
from backburner.resilience.bulkhead import Bulkhead
from backburner.resilience.rates import rate_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["Lanes", "lanes"]

P = TypeVar("P", Breaker, Budget, Bulkhead)

_decode = msgspec.json.Decoder(dict[str, object]).decode
_encode = msgspec.json.Encoder(order="sorted").encode

#: Characters of a key that stands in a lane's name as it is; a longer one, its hash does.
_KEY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What a declaration names. A text is the name of a policy that some job declares in full, or of the default one."""

    breaker: str | Breaker | None = None
    budget: str | Budget | None = None
    bulkhead: str | Bulkhead | None = None
    concurrency: int | Adaptive | None = None
    #: The arguments by whose values the concurrency is counted apart.
    key: tuple[str, ...] = ()
    rate: Rate | None = None

    def check(self, kind: str, parameters: Collection[str]) -> None:
        """Raise `InvalidOption` unless every argument of the key is one of the job's."""
        strange = [name for name in self.key if name not in parameters]
        if strange:
            raise InvalidOption(
                f"{kind} has no argument {strange[0]!r} for its concurrency_key; it has {', '.join(parameters) or 'none'}",
                option="concurrency_key",
            )

    def watched(self, kind: str) -> tuple[str, ...]:
        """Return the names of the limits that go by how runs end."""
        own = limit_name("concurrency", kind) if isinstance(self.concurrency, Adaptive) else None
        guard = None if self.breaker is None else limit_name("breaker", _name(self.breaker))
        return tuple(name for name in (guard, own) if name is not None)

    def names(self, kind: str, args: str) -> tuple[str, ...]:
        """Return the lanes of a call with these arguments (JSON text), in the order in which they are asked.

        What most jobs share comes first: who is refused by a later one leaves the room that he had in those before to
        whoever stands there.
        """
        asked: list[str] = []
        if self.bulkhead is not None:
            asked.append(limit_name("bulkhead", _name(self.bulkhead)))
        if self.breaker is not None:
            asked.append(limit_name("breaker", _name(self.breaker)))
        if self.rate is not None:
            asked.append(limit_name("rate", kind))
        if self.concurrency is not None:
            key = _key(args, self.key) if self.key else None
            asked.append(lane_name(limit_name("concurrency", kind), key))
        if self.budget is not None:
            asked.append(limit_name("budget", _name(self.budget)))
        return tuple(asked)


def lanes(
    *,
    breaker: str | Breaker | None,
    budget: str | Budget | None,
    bulkhead: str | Bulkhead | None,
    concurrency: int | Adaptive | None,
    concurrency_key: str | Sequence[str] | None,
    rate: str | Rate | None,
) -> Lanes | None:
    """Check what a declaration says of limits; None where it names none. Raises `InvalidOption`."""
    own = _policy(budget, Budget, "budget")
    guard = _policy(breaker, Breaker, "breaker")
    if own is None and guard is not None:
        # A dependency that fails must not be stormed by retries either.
        own = _name(guard)
    known = Lanes(
        breaker=guard,
        budget=own,
        bulkhead=_policy(bulkhead, Bulkhead, "bulkhead"),
        concurrency=_concurrency(concurrency),
        key=_keys(concurrency_key, limited=concurrency is not None),
        rate=_rate(rate),
    )
    return known if known != Lanes() else None


def _name(policy: str | Breaker | Budget | Bulkhead) -> str:
    return policy if isinstance(policy, str) else policy.name


def _policy(given: object, known: type[P], option: str) -> str | P | None:
    if given is None or isinstance(given, known):
        return given
    if not isinstance(given, str):
        raise InvalidOption(
            f"{option}={given!r} is neither a name nor a {known.__name__}: give one of these", option=option
        )
    return check_name(given, option)


def _concurrency(given: object) -> int | Adaptive | None:
    if given is None or isinstance(given, Adaptive):
        return given
    if type(given) is not int or given < 1:
        raise InvalidOption(
            f"concurrency={given!r} must be a whole number of runs from 1, over all nodes, or an Adaptive",
            option="concurrency",
        )
    return given


def _keys(given: object, *, limited: bool) -> tuple[str, ...]:
    if given is None:
        return ()
    if not limited:
        raise InvalidOption(
            f"concurrency_key={given!r} needs concurrency=: how many may run for each key", option="concurrency_key"
        )
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable) or not names:
        raise InvalidOption(f"concurrency_key={given!r} has to name an argument, or several", option="concurrency_key")
    return tuple(check_name(name, "concurrency_key") for name in cast("Iterable[object]", names))


def _rate(given: object) -> Rate | None:
    return None if given is None else rate_of(given)


def _key(args: str, names: tuple[str, ...]) -> str:
    """Return the text of the values that a call is counted by: of a secret, its hash."""
    values = _decode(args)
    value = values[names[0]] if len(names) == 1 else [values[name] for name in names]
    text = value if isinstance(value, str) else _encode(value).decode()
    shown = len(text) <= _KEY and text.isprintable() and TRACE not in text
    return text if shown else blake2b(text.encode(), digest_size=16).hexdigest()
