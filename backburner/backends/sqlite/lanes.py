"""Lanes: how they stand, and what that allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.lane import Algorithm, Limit, Meter, Rate
from backburner.resilience import rates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

__all__ = ["Lane", "decode_lanes", "load_lanes", "named", "write_lanes"]

_LANES = load("lanes")
_WRITE = load("write_lanes")

_NO_LIMIT: Final = Limit()
_encode = msgspec.json.Encoder().encode


def named(rate: Rate) -> str:
    """Return the text by which a meter tells whose it is."""
    return _encode(rate).decode()


class Lane(msgspec.Struct, array_like=True):
    """A lane as it stands in one write: the column order of its statement."""

    name: str
    #: What is declared or set; None: nothing is.
    set: Limit | None
    running: int
    mark: int
    count: int
    previous: int
    #: The rate that the meter is of; None: nothing was used yet.
    metered: str | None
    #: From when on the meter says nothing any more.
    full_at: int
    #: When the next claim lets in those who stand there; None: when it is told to.
    opens_at: int | None
    #: Whether jobs stand there: 0 or 1.
    parked: int

    @property
    def limit(self) -> Limit:
        """What it allows."""
        return self.set or _NO_LIMIT

    @property
    def meter(self) -> Meter:
        """How much of its rate is used."""
        return Meter(self.mark, self.count, self.previous)

    def slots(self) -> int | None:
        """Return how many slots are free; None is no limit of them."""
        slots = self.limit.slots
        return None if slots is None else max(0, slots - self.running)

    def permits(self, rate: Rate, now: int) -> int:
        """Return how many may start by its rate."""
        return rates.permits(rate, self.meter, now)

    def spend(self, rate: Rate, now: int) -> None:
        """Let one start."""
        self._turn(rates.spent(rate, self.meter, now, 1))
        self.metered = named(rate)
        # Of windows the one before counts too, while any of it is in sight.
        self.full_at = self.mark if rate.algorithm is Algorithm.GCRA else self.mark + 2 * rate.period

    def deposit(self, amount: int) -> None:
        """Take in what a budget is given for one first attempt."""
        self._turn(rates.deposited(self.meter, amount, 1))
        self.full_at = self.mark

    def open_at(self, moment: int) -> None:
        """Open at that moment, unless it opens before."""
        self.opens_at = moment if self.opens_at is None else min(self.opens_at, moment)

    def _turn(self, meter: Meter) -> None:
        self.mark, self.count, self.previous = meter.mark, meter.count, meter.previous


decode_lanes = msgspec.json.Decoder(list[Lane]).decode


def load_lanes(connection: sqlite3.Connection, names: Iterable[str]) -> list[Lane]:
    """Return how these lanes stand."""
    (found,) = connection.execute(_LANES, {"lanes": to_json([*names])}).fetchone()
    return decode_lanes(found)


def write_lanes(connection: sqlite3.Connection, lanes: Sequence[Lane]) -> None:
    """Write how lanes stand."""
    rows = [
        (lane.name, lane.mark, lane.count, lane.previous, lane.metered, lane.full_at, lane.opens_at) for lane in lanes
    ]
    connection.execute(_WRITE, {"lanes": to_json(rows)})
