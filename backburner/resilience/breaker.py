"""Circuit breakers: when a dependency fails, its jobs wait, a few probe it, and the backlog is let go in a ramp. Pure.

Sources: the three states are Michael Nygard's, "Release It!" (2007); failure ratio, slow ratio, least number of calls
and a count of probes as in resilience4j's CircuitBreaker; a window cut into slices as in Polly's; the break that grows
as in Envoy's outlier detection and Finagle's failure accrual; the ramp is TCP's slow start (RFC 5681), which doubles
what is under way each time that much has come back.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from backburner.errors import InvalidOption, PayloadNotReadable
from backburner.model.clock import SECOND
from backburner.model.lane import Limit
from backburner.model.names import check_name
from backburner.model.times import duration
from backburner.resilience.backoff import Backoff, exponential
from backburner.resilience.checks import check_share, check_whole
from backburner.resilience.tally import Tally, Watcher

if TYPE_CHECKING:
    from datetime import timedelta
    from random import Random

__all__ = ["Breaker", "BreakerState", "Bucket", "Phase", "advance", "decode", "encode", "limit"]

#: A window is cut into so many buckets, and the oldest is forgotten whole: it sees 11/12 of its length at least.
_BUCKETS = 12
#: Doublings of the ramp: 2, 4, … 64 times the probes, then closed.
_STEPS = 6
#: Microseconds after which a step of the ramp is taken, however few have ended: jobs may be long, or few.
_STEP = 5 * SECOND
_MOST_PROBES = 1000
#: A smaller ratio would open for one failure of the usual twenty calls as well.
_LEAST = 0.01
_OPEN = exponential(30, factor=2, cap=600, jitter=0.1)


@dataclass(frozen=True, slots=True)
class Breaker(Watcher):
    """When jobs that share a dependency stop calling it, and how they begin again.

    It opens once, of ``calls`` or more that ended within ``window``, the share ``ratio`` failed, or ``slow_ratio`` took
    longer than ``slow`` (durations are a `timedelta` or seconds). Open, its jobs wait and spend no attempt, for as long
    as ``open`` says: 30 s, twice as long each time that it opens again without having stood closed for a window, 10
    minutes at most, ± a tenth. Then ``probes`` jobs run at once. If so many succeed, 2, 4, … 64 times as many may run,
    a step as soon as so many have succeeded or after 5 s; then it is closed. If probes fail by the same ratios, it opens
    again; so does the ramp. Raises `InvalidOption`.
    """

    name: str
    _: KW_ONLY
    ratio: float = 0.5
    calls: int = 20
    window: timedelta | float = 60
    #: None: no run is slow.
    slow: timedelta | float | None = None
    slow_ratio: float = 1.0
    open: Backoff = _OPEN
    probes: int = 3
    #: Microseconds of ``window``.
    span: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check, and note durations in microseconds."""
        check_name(self.name, "breaker")
        check_share(self.ratio, "ratio", "0.5 is half of the calls", least=_LEAST)
        check_share(self.slow_ratio, "slow_ratio", "0.5 is half of the calls", least=_LEAST)
        check_whole(self.calls, "calls")
        check_whole(self.probes, "probes", most=_MOST_PROBES)
        if not isinstance(self.open, Backoff):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(f"open={self.open!r} is no backoff; write exponential(30, factor=2)", option="open")
        if self.open.base == 0:
            raise InvalidOption("open=constant(0) would never keep it open: give a base above 0", option="open")
        span = duration(self.window, "window")
        if span < SECOND:
            raise InvalidOption(f"window={self.window!r} must be a second at least", option="window")
        slow_after = None if self.slow is None else duration(self.slow, "slow")
        if slow_after == 0:
            raise InvalidOption("slow=0 would call every run slow; leave it out to call none so", option="slow")
        object.__setattr__(self, "span", span)
        self._watch(slow_after)


class Phase(StrEnum):
    """What a breaker does now."""

    #: No limit.
    CLOSED = "closed"
    #: No slots, until a moment.
    OPEN = "open"
    #: As many slots as probes.
    HALF_OPEN = "half_open"
    #: Slots that double, step by step.
    CLOSING = "closing"


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """A slice of the window."""

    #: When it began.
    start: int
    tally: Tally


class BreakerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a breaker stands, for all nodes. The default is one that nobody has used."""

    phase: Phase = Phase.CLOSED
    #: When the phase began.
    since: int = 0
    #: When time alone changes it: the next probe, or the next step of the ramp.
    until: int | None = None
    #: Only runs that began at this moment or later are to be told: those before it met the dependency of another day.
    counts_from: int = 0
    #: How often in a row it has opened, and for how long it did last.
    openings: int = 0
    delay: int = 0
    #: Doublings of the probes: 0 while they probe.
    step: int = 0
    #: What has ended since the probing, or this step of the ramp, began.
    seen: Tally = Tally()
    #: What has ended in the window, while closed.
    buckets: tuple[Bucket, ...] = ()


def advance(policy: Breaker, state: BreakerState, tally: Tally, now: int, random: Random) -> BreakerState:
    """Return the state after these runs have ended and time has passed; the very one given, if nothing changes.

    One transition at most: closed to open, open to half-open, half-open to open or closing, closing to open or closed.
    ``tally`` counts runs that began at ``state.counts_from`` or later. With none, a second time at the same moment
    changes nothing.
    """
    match state.phase:
        case Phase.CLOSED:
            return _watched(policy, state, tally, now, random)
        case Phase.OPEN:
            return _probing(state, now) if state.until is None or now >= state.until else state
        case Phase.HALF_OPEN | Phase.CLOSING:
            return _ramped(policy, state, tally, now, random)


def limit(policy: Breaker, state: BreakerState) -> Limit:
    """Return what the breaker's lane allows."""
    match state.phase:
        case Phase.CLOSED:
            return Limit()
        case Phase.OPEN:
            return Limit(slots=0)
        case Phase.HALF_OPEN | Phase.CLOSING:
            return Limit(slots=_slots(policy, state))


def _watched(policy: Breaker, state: BreakerState, tally: Tally, now: int, random: Random) -> BreakerState:
    if not tally.calls:
        return state
    buckets = _added(policy, state.buckets, tally, now)
    total = sum((bucket.tally for bucket in buckets), Tally())
    if total.calls >= policy.calls and _failing(policy, total, policy.calls):
        return _opened(policy, state, now, random)
    return msgspec.structs.replace(state, buckets=buckets)


def _added(policy: Breaker, buckets: tuple[Bucket, ...], tally: Tally, now: int) -> tuple[Bucket, ...]:
    """Return the window's buckets with these runs in that of now; of a clock that went back, those ahead are dropped."""
    start = now - now % (policy.span // _BUCKETS)
    kept = {bucket.start: bucket.tally for bucket in buckets if now - policy.span < bucket.start <= start}
    kept[start] = kept.get(start, Tally()) + tally
    return tuple(Bucket(*item) for item in kept.items())


def _opened(policy: Breaker, state: BreakerState, now: int, random: Random) -> BreakerState:
    again = state.phase is not Phase.CLOSED or now - state.since < policy.span
    openings = state.openings + 1 if again else 1
    # Open takes time, whatever the jitter; so the step after this one is another moment's.
    delay = policy.open.delay(openings, previous=state.delay if openings > 1 else None, random=random, floor=1)
    return BreakerState(phase=Phase.OPEN, since=now, until=now + delay, counts_from=now, openings=openings, delay=delay)


def _probing(state: BreakerState, now: int) -> BreakerState:
    return msgspec.structs.replace(state, phase=Phase.HALF_OPEN, since=now, until=None, counts_from=now)


def _ramped(policy: Breaker, state: BreakerState, tally: Tally, now: int, random: Random) -> BreakerState:
    seen = state.seen + tally
    slots = _slots(policy, state)
    # A step's worth of calls tells, and never more than it takes when closed: a dead dependency is called no oftener.
    if _failing(policy, seen, min(slots, policy.calls)):
        return _opened(policy, state, now, random)
    if seen.calls - seen.failures >= slots or (state.until is not None and now >= state.until):
        return _stepped(state, now)
    return msgspec.structs.replace(state, seen=seen) if tally.calls else state


def _stepped(state: BreakerState, now: int) -> BreakerState:
    if state.step >= _STEPS:
        return msgspec.structs.replace(state, phase=Phase.CLOSED, since=now, until=None, step=0, seen=Tally())
    return msgspec.structs.replace(
        state,
        phase=Phase.CLOSING,
        since=now if state.phase is Phase.HALF_OPEN else state.since,
        until=now + _STEP,
        step=state.step + 1,
        seen=Tally(),
    )


def _slots(policy: Breaker, state: BreakerState) -> int:
    return policy.probes << state.step


def _failing(policy: Breaker, seen: Tally, least: int) -> bool:
    """Say whether a ratio is reached, or will be at ``least`` calls even if all that follow succeed."""
    calls = max(seen.calls, least)
    return seen.failures / calls >= policy.ratio or seen.slow / calls >= policy.slow_ratio


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(BreakerState)


def encode(state: BreakerState) -> str:
    """Return a state as JSON text."""
    return _encoder.encode(state).decode()


def decode(text: str) -> BreakerState:
    """Return the state of a JSON text, fields of a newer version left out; raises `PayloadNotReadable`."""
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise PayloadNotReadable(
            f"the stored breaker state {text!r} cannot be read by this version of backburner: {error}"
        ) from error
