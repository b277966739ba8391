"""A limit, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import iso
from backburner.model.clock import SECOND
from backburner.resilience.rates import interval, rate_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.controls import Controls
    from backburner.model.lane import LaneRecord, Limit, LimitRecord

__all__ = ["LIMITS", "Use", "read_limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A limit, and how much of it is used by the jobs that are not counted apart by a key."""

    record: LimitRecord
    lane: LaneRecord
    now: int

    @property
    def free_at(self) -> int | None:
        """When its rate has a permit again; None where it has one, or there is no rate."""
        return self.lane.free_at if self.lane.free_at is not None and self.lane.free_at > self.now else None


async def read_limits(controls: Controls, name: str | None = None) -> Sequence[Use]:
    """Return the limits that are declared or set, by name; or the one of this name. Breakers have a list of their own."""
    records = [
        record
        for record in await controls.limits.list()
        if not record.name.startswith("breaker:") and name in {None, record.name}
    ]
    answer = await controls.backend.limits.lanes([record.name for record in records])
    return [Use(record=record, lane=lane, now=answer.now) for record, lane in zip(records, answer.lanes, strict=True)]


def _text(limit: Limit | None) -> str:
    """Write what a limit allows."""
    if limit is None:
        return ""
    parts = [] if limit.slots is None else [f"{limit.slots} at once"]
    if limit.rate is not None and limit.deposit is not None:
        share = limit.deposit / interval(limit.rate)
        parts.append(f"{share:.3g} retries each + {SECOND / interval(limit.rate):.3g}/s, {limit.rate.burst} saved up")
    elif limit.rate is not None:
        parts.append(rate_text(limit.rate))
    return ", ".join(parts) or "no limit"


def _running(use: Use) -> str:
    slots = use.record.limit.slots
    # Of a limit that counts by keys, nothing runs in the lane without one.
    return f"{use.lane.running} of {slots}" if slots is not None and use.lane.running else ""


def _fields(use: Use) -> tuple[str, ...]:
    record = use.record
    limits = (_text(record.declared), _text(record.override))
    return (record.name, *limits, _running(use), iso(use.free_at), record.by or "", record.reason or "")


def _value(use: Use) -> dict[str, object]:
    record = use.record
    return {
        "name": record.name,
        "declared": _limit_json(record.declared),
        "set": _limit_json(record.override),
        "running": use.lane.running,
        "holders": use.lane.holders,
        "free_at": iso(use.free_at) or None,
        "parked": use.lane.parked,
        "by": record.by,
        "reason": record.reason,
    }


def _limit_json(limit: Limit | None) -> dict[str, object] | None:
    if limit is None:
        return None
    rate = None if limit.rate is None else rate_text(limit.rate)
    share = None if limit.rate is None or limit.deposit is None else limit.deposit / interval(limit.rate)
    return {"slots": limit.slots, "rate": rate, "retries_each": share}


LIMITS: View[Use] = View(
    titles=("LIMIT", "DECLARED", "SET", "RUNNING", "FREE AT", "BY", "REASON"),
    cells=_fields,
    fields=_fields,
    value=_value,
    spare=(5, 4),
)
