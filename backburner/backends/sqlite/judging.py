"""Jobs of a claim before their lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.lanes import load_lanes, write_lanes
from backburner.backends.sqlite.statements import load
from backburner.resilience import rates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.lanes import Lane
    from backburner.model.job import Claim
    from backburner.model.lane import Limit, Rate

__all__ = ["Judge"]

_HOLD = load("hold")


class Judge:
    """Asks lanes on behalf of one claim; they stand as the claim has left them so far."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self._now = now
        self._lanes: dict[str, Lane] = {}
        #: What is to be written: lanes by name, and who counts against the slots of which.
        self._changed: dict[str, Lane] = {}
        self._held: list[tuple[str, str]] = []

    def look(self, claims: Sequence[Claim]) -> None:
        """Look at the lanes of jobs, all in one statement; comes before any of them is asked about."""
        names = {name for claim in claims for name in claim.lanes} - self._lanes.keys()
        if names:
            self._lanes |= {lane.name: lane for lane in load_lanes(self._connection, names)}

    def refusing(self, claim: Claim) -> str | None:
        """Return the first of a job's lanes that refuses it; None where none does."""
        return next((name for name in claim.lanes if self._refuses(self._lanes[name], claim)), None)

    def _refuses(self, lane: Lane, claim: Claim) -> bool:
        rate = _rate_for(lane.limit, claim)
        return lane.slots() == 0 or (rate is not None and lane.permits(rate, self._now) == 0)

    def enter(self, claim: Claim) -> None:
        """Count in a job that none of its lanes refused."""
        for name in dict.fromkeys(claim.lanes):
            lane = self._lanes[name]
            limit, rate = lane.limit, _rate_for(lane.limit, claim)
            if limit.slots is not None:
                lane.running += 1
                self._held.append((name, claim.id))
            if rate is not None:
                lane.spend(rate, self._now)
                self._changed[name] = lane
            if limit.deposit is not None and claim.attempt == 1:
                self._deposit(lane, limit.deposit)

    def _deposit(self, lane: Lane, amount: int) -> None:
        # One that is full, and where nobody waits, has no use for it.
        if lane.full_at <= self._now and lane.opens_at is None:
            return
        lane.deposit(amount)
        self._changed[lane.name] = lane
        if lane.opens_at is not None and lane.limit.rate is not None:
            lane.open_at(rates.next_at(lane.limit.rate, lane.meter, self._now))

    def turn_away(self, claim: Claim, name: str) -> None:
        """See to it that a job which is parked at a lane is let in: by time where a permit is wanting, else by who makes room.

        The lanes asked before had room for it, which it leaves to those who stand there.
        """
        lane = self._lanes[name]
        lane.parked = 1
        self._changed[name] = lane
        if lane.limit.rate is not None and lane.slots() != 0:
            lane.open_at(rates.next_at(lane.limit.rate, lane.meter, self._now))
        for before in claim.lanes[: claim.lanes.index(name)]:
            lane = self._lanes[before]
            if lane.parked:
                self._changed[before] = lane
                lane.open_at(self._now)

    def write(self) -> None:
        """Write what has changed so far."""
        if self._held:
            self._connection.execute(_HOLD, {"held": to_json(self._held)})
            self._held = []
        if self._changed:
            write_lanes(self._connection, [*self._changed.values()])
            self._changed = {}


def _rate_for(limit: Limit, claim: Claim) -> Rate | None:
    """Return the rate of which a job has to take a permit: a budget asks only those that have failed."""
    return None if limit.deposit is not None and not claim.failures else limit.rate
