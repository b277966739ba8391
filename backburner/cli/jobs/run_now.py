"""`backburner jobs run-now`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.jobs.many import Change, change_command
from backburner.model.query import Shown
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.event import NewEvent
    from backburner.ports.jobs import JobAdmin

__all__ = ["command"]


async def _expedite(admin: JobAdmin, ids: Sequence[str], events: Sequence[NewEvent]) -> Mapping[str, Sequence[str]]:
    answer = await admin.expedite(ids, events)
    return {
        "expedited": answer.expedited,
        "due": answer.due,
        "gated": answer.gated,
        "running": answer.running,
        "ended": answer.ended,
        "missing": answer.missing,
        "busy": answer.busy,
    }


_CHANGE = Change(
    verb="expedite",
    done="expedited",
    # Those that may be due later.
    states=(Shown.SCHEDULED, Shown.RETRYING),
    others="only scheduled and retrying jobs are due later",
    event="operator.job.expedited",
    carry_out=_expedite,
    fine=frozenset({"expedited", "due", "running"}),
    hints={"expedited": Hint.JOBS},
    mends={"gated": "a job at a gate waits for something other than its time: `backburner jobs why {job}` says what"},
)

command = change_command(
    "run-now",
    _CHANGE,
    """Have jobs that are due later be due now: by ids (or the beginnings of ids), or by filter.

    They stand in the line then like any other: what is paused or limited stays so, and no attempt is counted. A filter
    asks first, or needs --yes. Piped, a line is: id and outcome (expedited, due: it was already, running, gated: it waits for
    something else, which `jobs why` tells; ended, missing, busy: somebody's open transaction has it, so that nothing
    was changed). Exits with 1 if any was gated, ended, missing or busy.
    """,
)
