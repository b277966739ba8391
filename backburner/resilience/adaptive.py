"""Adaptive concurrency: as many runs at once as a dependency bears, found out by trying. Pure.

Sources: additive increase, multiplicative decrease is Chiu and Jain's, "Analysis of the Increase and Decrease Algorithms
for Congestion Avoidance" (1989), and TCP's (RFC 5681: a round is as much as may be under way, which gains one, and loses
half at most once a round). Netflix's concurrency-limits (`AIMDLimit`) took it to calls: slow is as good as failed, ten
samples at least, and what is not made use of does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from backburner.errors import InvalidOption, PayloadNotReadable
from backburner.model.lane import Limit
from backburner.model.times import duration
from backburner.resilience.checks import check_share, check_whole
from backburner.resilience.tally import Tally, Watcher

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Adaptive", "AdaptiveState", "advance", "begin", "decode", "encode", "limit"]

_START = 10
#: Runs that make a round, where there are fewer slots: of two or three, one that fails says little.
_SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(Watcher):
    """How many runs at once, over all nodes, found out by how they end.

    A round is as many runs as there are slots (ten at least), or what ended within ``window`` (a `timedelta` or
    seconds). If more than the share ``tolerance`` of it failed, or took longer than ``target``, the slots are multiplied
    by ``decrease``, as soon as that is certain; else they gain one, if they were made use of. They stay between
    ``least`` and ``most``, and begin with ``start`` (10, or the nearest between those). Raises `InvalidOption`.
    """

    least: int = 1
    most: int = 100
    start: int | None = None
    #: None: no run is slow.
    target: timedelta | float | None = None
    decrease: float = 0.5
    tolerance: float = 0.1
    window: timedelta | float = 60
    #: Microseconds of ``window``.
    span: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check, and note durations in microseconds."""
        check_whole(self.least, "least")
        check_whole(self.most, "most")
        if self.least > self.most:
            raise InvalidOption(f"least={self.least} is more than most={self.most}: swap them", option="least")
        if self.start is not None and (type(self.start) is not int or not self.least <= self.start <= self.most):
            raise InvalidOption(
                f"start={self.start!r} must lie between least={self.least} and most={self.most}", option="start"
            )
        check_share(self.decrease, "decrease", "0.5 leaves half of the slots", least=0.1, most=0.9)
        check_share(self.tolerance, "tolerance", "0.1 lets a tenth fail", most=0.9)
        object.__setattr__(self, "span", _length(self.window, "window"))
        self._watch(None if self.target is None else _length(self.target, "target"))


class AdaptiveState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an adaptive limit stands, for all nodes; made by `begin`."""

    slots: int
    #: When the round ends by time alone; None before the first run of it has ended.
    until: int | None = None
    #: When the slots last became fewer: only runs that began at this moment or later are to be told.
    counts_from: int = 0
    #: What has ended in this round.
    seen: Tally = Tally()


def begin(policy: Adaptive) -> AdaptiveState:
    """Return the state of a limit that nobody has used."""
    return AdaptiveState(slots=_within(policy, _START) if policy.start is None else policy.start)


def advance(policy: Adaptive, state: AdaptiveState, tally: Tally, now: int, *, used: bool) -> AdaptiveState:
    """Return the state after these runs have ended and time has passed; the very one given, if nothing changes.

    ``tally`` counts runs that began at ``state.counts_from`` or later. ``used``: whether half of the slots or more are
    taken, or jobs wait for one. With an empty tally, a second time at the same moment changes nothing.
    """
    seen = state.seen + tally
    if not seen.calls:
        return state
    slots = _within(policy, state.slots)
    until = now + policy.span if state.until is None else state.until
    length = max(slots, _SAMPLES)
    over = seen.calls >= length or now >= until
    # Before the end of the round, only what no success could make good.
    of = seen.calls if over else length
    if max(seen.failures, seen.slow) / of > policy.tolerance:
        return AdaptiveState(slots=_within(policy, int(slots * policy.decrease)), counts_from=now)
    if over:
        grown = _within(policy, slots + 1) if used else slots
        return AdaptiveState(slots=grown, counts_from=state.counts_from)
    return msgspec.structs.replace(state, until=until, seen=seen) if tally.calls else state


def limit(policy: Adaptive, state: AdaptiveState) -> Limit:
    """Return what the lane allows."""
    return Limit(slots=_within(policy, state.slots))


def _within(policy: Adaptive, slots: int) -> int:
    return min(policy.most, max(policy.least, slots))


def _length(value: timedelta | float, option: str) -> int:
    length = duration(value, option)
    if length == 0:
        raise InvalidOption(f"{option}=0 is no time: give one above 0", option=option)
    return length


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AdaptiveState)


def encode(state: AdaptiveState) -> str:
    """Return a state as JSON text."""
    return _encoder.encode(state).decode()


def decode(text: str) -> AdaptiveState:
    """Return the state of a JSON text, fields of a newer version left out; raises `PayloadNotReadable`."""
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise PayloadNotReadable(
            f"the stored adaptive state {text!r} cannot be read by this version of backburner: {error}"
        ) from error
