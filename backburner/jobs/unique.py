"""Jobs of which one is enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from backburner.errors import InvalidOption
from backburner.model.job import JobState, UniqueKey
from backburner.model.times import duration

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

__all__ = ["Unique"]

_decode = msgspec.json.Decoder(dict[str, object]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """Store a job only if no other has its key; whoever stores another gets the handle of the one that has.

    The key is the kind and the arguments named in ``by``: all of them by default, none for ``by=()``. A job holds its
    key while its state is one of ``states`` (``pending``, ``running``, ``completed``, ``cancelled``, ``dead``) and, given
    ``period`` (a `timedelta` or seconds), for that long from its storing, whatever its state. Raises `InvalidOption`.
    """

    by: Sequence[str] | None = None
    states: Collection[str] = ("pending", "running")
    period: timedelta | float | None = None

    def __post_init__(self) -> None:
        """Check."""
        if isinstance(self.by, str) or not isinstance(self.by, Iterable | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(f"Unique(by=…) takes a list of arguments, not one: by=[{self.by!r}]", option="by")
        if isinstance(self.states, str) or not isinstance(self.states, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(
                f"Unique(states=…) takes several states, not one: states=[{self.states!r}]", option="states"
            )
        unknown = [state for state in self.states if state not in tuple(JobState)]
        if unknown:
            raise InvalidOption(
                f"Unique(states=…) has no state {unknown[0]!r}; there are {', '.join(JobState)}", option="states"
            )
        if self.period is not None:
            duration(self.period, "Unique(period=)")
        elif not self.states:
            raise InvalidOption("Unique(states=[]) without a period holds nothing: name a state", option="states")

    def check(self, kind: str, parameters: Collection[str]) -> None:
        """Raise `InvalidOption` unless every argument named in ``by`` is one of the job's."""
        strange = [name for name in self.by or () if name not in parameters]
        if strange:
            raise InvalidOption(
                f"{kind} has no argument {strange[0]!r} to be unique by; it has {', '.join(parameters) or 'none'}",
                option="unique",
            )

    def key(self, kind: str, args: str | bytes) -> UniqueKey:
        """Return the key of a call: its kind, and BLAKE2b of the chosen ones of its arguments, given as canonical JSON."""
        values = _decode(args)
        chosen = values if self.by is None else {name: values[name] for name in self.by}
        digest = blake2b(_encode(chosen), digest_size=16).hexdigest()
        return UniqueKey(
            f"{kind}:{digest}",
            tuple(state for state in JobState if state in self.states),
            None if self.period is None else duration(self.period, "Unique(period=)"),
        )
