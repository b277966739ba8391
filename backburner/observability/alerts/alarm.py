"""What becomes of an alert from one look to the next. Pure; its state is shared by all nodes."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import msgspec

from backburner.model.clock import SECOND

if TYPE_CHECKING:
    from backburner.observability.alerts.rule import Rule

__all__ = ["FORGOTTEN", "Alarm", "Turn", "abandoned", "advance", "decode", "encode"]

#: Microseconds between two marks that somebody watches an alert whose condition holds.
_MARK: Final = 60 * SECOND
#: Microseconds without a mark after which nobody does.
FORGOTTEN: Final = 600 * SECOND


class Turn(Enum):
    """What is to be told of a look."""

    FIRED = auto()
    RESOLVED = auto()


class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an alert stands. Moments are the store's, in microseconds."""

    #: The condition that was looked at.
    when: str = ""
    #: When it was first seen to hold; None: it does not.
    since: int | None = None
    #: It fires, and this was told.
    firing: bool = False
    #: When it was last told to fire, this time or an earlier one.
    told: int | None = None
    #: When somebody last saw it hold, to the minute.
    seen: int = 0


def advance(rule: Rule, alarm: Alarm, now: int, *, holds: bool) -> tuple[Alarm, Turn | None]:
    """Return what becomes of an alert whose condition holds now, or does not; the same, where nothing does.

    It fires once it has held for as long as the rule says, but not sooner after it last fired than the rule allows; then
    it waits for that moment, and fires if it still holds. It holds since somebody first saw it hold, under this very
    condition, and nobody has seen otherwise; while nobody looked at all for long, nothing is known.
    """
    when = rule.condition.text
    if not holds:
        after = msgspec.structs.replace(alarm, when=when, since=None, firing=False, seen=0)
        return after if alarm.since is not None else alarm, Turn.RESOLVED if alarm.firing else None
    since = alarm.since
    if since is None or (not alarm.firing and (alarm.when != when or now - alarm.seen > FORGOTTEN)):
        since = now
    marked = since != alarm.since or when != alarm.when or now - alarm.seen >= _MARK
    after = msgspec.structs.replace(alarm, when=when, since=since, seen=now) if marked else alarm
    early = alarm.told is not None and now - alarm.told < rule.pause
    if alarm.firing or early or now - since < rule.condition.duration:
        return after, None
    return msgspec.structs.replace(after, firing=True, told=now, seen=now), Turn.FIRED


def abandoned(alarm: Alarm, now: int) -> bool:
    """Tell of an alert of another's whether it is to be ended: it fires, and nobody has watched it for long."""
    return alarm.firing and now - alarm.seen > FORGOTTEN


def encode(alarm: Alarm) -> str:
    """Return it as JSON text."""
    return msgspec.json.encode(alarm).decode()


def decode(text: str) -> Alarm:
    """Return what a JSON text says; of one that this code cannot read, nothing."""
    try:
        return msgspec.json.decode(text, type=Alarm)
    except msgspec.MsgspecError:
        return Alarm()
