"""A breaker, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import iso
from backburner.model.clock import instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backburner.cli.controls import Controls
    from backburner.jobs.breakers import BreakerStatus

__all__ = ["BREAKERS", "read_breakers"]


async def read_breakers(controls: Controls, name: str | None = None) -> Sequence[BreakerStatus]:
    """Return the breakers that nodes have named, by name; or the one of this name."""
    return [breaker for breaker in await controls.breakers.list() if name is None or breaker.name == name]


def _state(breaker: BreakerStatus) -> str:
    return "opened" if breaker.forced else breaker.phase.replace("_", "-")


def _fields(breaker: BreakerStatus) -> tuple[str, ...]:
    since, until = _moment(breaker.since), _moment(_until(breaker))
    slots = "" if breaker.slots is None else str(breaker.slots)
    return (breaker.name, _state(breaker), since, until, slots, breaker.by or "", breaker.reason or "")


def _until(breaker: BreakerStatus) -> datetime | None:
    """Return when time alone changes it; one that an operator opened is not moved by it."""
    return None if breaker.forced else breaker.until


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else iso(instant(moment))


def _value(breaker: BreakerStatus) -> dict[str, object]:
    return {
        "name": breaker.name,
        "state": _state(breaker),
        "phase": breaker.phase,
        "since": _moment(breaker.since) or None,
        "until": _moment(_until(breaker)) or None,
        "slots": breaker.slots,
        "by": breaker.by,
        "reason": breaker.reason,
    }


BREAKERS: View[BreakerStatus] = View(
    titles=("BREAKER", "STATE", "SINCE", "UNTIL", "SLOTS", "BY", "REASON"),
    cells=_fields,
    fields=_fields,
    value=_value,
    spare=(4, 2, 5),
    numbers=(4,),
)
