"""What a test is told that has waited for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.clock import from_micros
from backburner.model.duration import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.row import Row
    from backburner.jobs.vigil import Vigil

__all__ = ["nobody_runs", "too_late"]

#: After so many runs it is rather their number that there was no time for than the one that still runs.
MANY = 100
#: Runs that are named.
NAMED = 5


def too_late(seconds: float, runs: Sequence[Row], ended: int, now: int, end: int) -> str:
    """Write why so many real seconds were not enough, in which so many runs ended; time was to be ``end``.

    ``runs`` are those that were waited for.
    """
    if runs and ended < MANY:
        named = ", ".join(f"{row.job.kind} {row.job.id}" for row in runs[:NAMED])
        return (
            f"after {seconds:g} real seconds {len(runs)} still ran ({named}{' …' if len(runs) > NAMED else ''}): what they "
            "wait for does not come; if it is time, call drain() in a task and advance() beside it"
        )
    if now < end:
        return (
            f"after {seconds:g} real seconds and {ended:,} runs it is {from_micros(now):%Y-%m-%d %H:%M:%S}, and "
            f"{about(end - now)} are left: advance by less, without drain=True, or give it longer by timeout="
        )
    return (
        f"after {seconds:g} real seconds and {ended:,} runs jobs still came: does one store itself again, due at once? If "
        "there are just so many, give them longer by timeout="
    )


def nobody_runs(vigil: Vigil) -> str:
    """Write why somebody waits in vain."""
    return (
        f"nothing runs by itself in a test, so {vigil.definition.kind} {vigil.id} would be awaited for ever: "
        "await jobs.drain() first, or enter bb.testing(mode='inline')"
    )
