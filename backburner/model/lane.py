"""Lanes: named limits that jobs share over all nodes."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = [
    "LANE_GATE",
    "Algorithm",
    "Cell",
    "LaneRecord",
    "Limit",
    "LimitRecord",
    "Meter",
    "Rate",
    "lane_name",
    "limit_name",
    "limit_of",
    "name_of",
]

#: The gate of jobs that a lane refused is this and the lane.
LANE_GATE = "lane:"


class Algorithm(StrEnum):
    """How a rate is measured; the formulas are in `backburner.resilience.rates`."""

    #: A permit each ``period / limit``, and up to ``burst`` at once: a token bucket, with a burst of one a leaky bucket.
    GCRA = "gcra"
    #: ``limit`` permits in each window of the clock.
    FIXED = "fixed"
    #: ``limit`` permits in any window, the last one weighed by how much of it is still in sight.
    SLIDING = "sliding"


class Rate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many may start in how long."""

    limit: int
    #: Microseconds; ``limit`` times this is at most 2**53, so that every store can reckon with it.
    period: int
    algorithm: Algorithm = Algorithm.GCRA
    #: How many may start at once after a pause; only `Algorithm.GCRA` looks at it.
    burst: int = 1


class Limit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a lane allows. None of a thing is no limit of it."""

    #: Runs at once, over all nodes.
    slots: int | None = None
    rate: Rate | None = None
    #: Makes the rate, a `Algorithm.GCRA`, a budget of retries: only jobs that have failed take permits, and each first
    #: attempt gives back as much as fills within so many microseconds.
    deposit: int | None = None


class Meter(msgspec.Struct, frozen=True, array_like=True):
    """How much of a rate is used. The default is nothing at all."""

    #: `Algorithm.GCRA`: the moment when all that was taken will have filled again. Otherwise where the window begins.
    mark: int = 0
    #: Taken in this window, and in the one before.
    count: int = 0
    previous: int = 0


class LimitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as the store keeps it: what holds is the operator's, else what code declared."""

    name: str
    declared: Limit | None = None
    override: Limit | None = None
    #: Who set the override, and why.
    by: str | None = None
    reason: str | None = None

    @property
    def limit(self) -> Limit:
        """What holds."""
        return self.override or self.declared or Limit()


class LaneRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A lane as it is read."""

    name: str
    limit: Limit
    #: How many runs count against its slots, and the first few of them by id.
    running: int = 0
    holders: tuple[str, ...] = ()
    #: When its rate has a permit, the store's now where it has one; None without a rate.
    free_at: int | None = None
    #: Whether jobs stand at it.
    parked: bool = False


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A small value that nodes share and change by comparing."""

    name: str
    #: Grows by one with every change, from 1.
    version: int
    #: JSON text.
    value: str


def limit_name(family: str, name: str) -> str:
    """Return a limit's name, such as ``breaker:stripe``. It holds no ``/``: one in a name is written ``%2F``."""
    return f"{family}:{name.replace('%', '%25').replace('/', '%2F')}"


def name_of(limit: str) -> str:
    """Return the name that `limit_name` was given: ``stripe`` of ``breaker:stripe``."""
    return limit.partition(":")[2].replace("%2F", "/").replace("%25", "%")


def lane_name(limit: str, key: str | None = None) -> str:
    """Return the name of a limit's one lane, or of that which belongs to a key: ``concurrency:thumb/acme``."""
    return limit if key is None else f"{limit}/{key}"


def limit_of(lane: str) -> str:
    """Return the name of a lane's limit: all before its first ``/``."""
    return lane.partition("/")[0]
