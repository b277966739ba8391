"""What a change of the clocks does to a wall time, said to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.scheduler.zones import wall_time

if TYPE_CHECKING:
    from backburner.scheduler.cronticks import CronTicks, Hit
    from backburner.scheduler.zones import Change

__all__ = ["note"]


def note(cron: CronTicks, hit: Hit) -> str:
    """Return it in a line; empty where no change of the clocks touches this one."""
    change = hit.change
    if change is None:
        return ""
    if change.after > change.before:
        return _left_out(cron, hit, change)
    where = f"{_time(hit.wall)} comes twice on {_day(hit.wall)}"
    if cron.which == "both":
        return f"{where}: this is the {'first' if hit.tick is not None and hit.tick < change.at else 'second'}"
    return f"{where}: runs at the {cron.which}"


def _left_out(cron: CronTicks, hit: Hit, change: Change) -> str:
    end = change.at + change.after
    day = _day(hit.wall)
    # On the same day its time is enough.
    until = _time(end) if _day(end) == day else f"{_day(end)} {_time(end)}"
    following = cron.walls.first(hit.wall + 1)
    several = following is not None and following < end
    which = f"{_time(hit.wall)} and what follows before {until} do" if several else f"{_time(hit.wall)} does"
    if hit.tick is None:
        return f"{which} not exist on {day}: not run"
    return f"{which} not exist on {day}: {'run once, at' if several else 'runs at'} {until}"


def _time(wall: int) -> str:
    time = wall_time(wall).time()
    return time.isoformat("auto" if time.second else "minutes")


def _day(wall: int) -> str:
    return wall_time(wall).date().isoformat()
