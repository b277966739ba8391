"""Breakers, as operators see and set them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - frameworks read what a status is made of
from typing import TYPE_CHECKING

from backburner.errors import UnknownLimit
from backburner.jobs.limits import near
from backburner.model.clock import from_micros
from backburner.model.lane import Limit, limit_name, name_of
from backburner.model.telling import tell
from backburner.resilience import breaker

if TYPE_CHECKING:
    from backburner.jobs.limits import Limits
    from backburner.ports.limits import CellStore

__all__ = ["FAMILY", "BreakerStatus", "Breakers"]

#: What the names of breakers' limits, and of their cells, begin with.
FAMILY = "breaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """A breaker as it was read. Moments are aware, in UTC."""

    name: str
    #: ``closed``, ``open``, ``half_open`` (a few jobs probe) or ``closing`` (its jobs are released in a ramp).
    phase: str
    #: None: it has never turned.
    since: datetime | None
    #: When it changes by time alone: the next probe.
    until: datetime | None
    #: How many of its jobs may run at once; None is no limit.
    slots: int | None
    #: An operator opened it: who, and why.
    forced: bool
    by: str | None
    reason: str | None


class Breakers:
    """Circuit breakers, shared by all nodes: they open and close by how runs end, unless an operator opens one."""

    def __init__(self, cells: CellStore, limits: Limits) -> None:
        self._cells = cells
        self._limits = limits

    async def open(self, name: str, *, reason: str | None = None, by: str | None = None) -> None:
        """Start no more of its jobs until `auto`, whatever becomes of the dependency. Raises `UnknownLimit`."""
        told = tell("operator.breaker.opened", name, by=by, reason=reason)
        await self._limits.override(await self._find(name), Limit(slots=0), told, reason=reason, by=by)

    async def auto(self, name: str, *, reason: str | None = None, by: str | None = None) -> None:
        """Let it go by how runs end again. Raises `UnknownLimit`."""
        told = tell("operator.breaker.auto", name, by=by, reason=reason)
        await self._limits.override(await self._find(name), None, told)

    async def list(self) -> tuple[BreakerStatus, ...]:
        """Return all that nodes have named, by name."""
        records = {record.name: record for record in await self._limits.list()}
        found: list[BreakerStatus] = []
        for cell in (await self._cells.load(f"{FAMILY}:")).cells:
            state = breaker.decode(cell.value)
            record = records.get(cell.name)
            forced = record is not None and record.override is not None
            found.append(
                BreakerStatus(
                    name=name_of(cell.name),
                    phase=state.phase.value,
                    since=from_micros(state.since) if state.since else None,
                    until=None if state.until is None else from_micros(state.until),
                    slots=record.limit.slots if record is not None else None,
                    forced=forced,
                    by=record.by if record is not None and forced else None,
                    reason=record.reason if record is not None and forced else None,
                )
            )
        return tuple(found)

    async def _find(self, name: str) -> str:
        """Return the name of a breaker's limit."""
        known = {name_of(cell.name): cell.name for cell in (await self._cells.load(f"{FAMILY}:")).cells}
        if name not in known:
            raise UnknownLimit(f"there is no breaker {name!r}{near(name, known)}", option="name")
        return limit_name(FAMILY, name)
