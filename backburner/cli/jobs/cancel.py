"""`backburner jobs cancel`."""

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


async def _cancel(admin: JobAdmin, ids: Sequence[str], events: Sequence[NewEvent]) -> Mapping[str, Sequence[str]]:
    answer = await admin.cancel(ids, events=events)
    return {
        "cancelled": answer.cancelled,
        "asked": answer.asked,
        "ended": answer.ended,
        "missing": answer.missing,
        "busy": answer.busy,
    }


_CHANGE = Change(
    verb="cancel",
    done="cancelled",
    # Those that have an end to be cancelled.
    states=(Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING, Shown.RUNNING),
    others="only waiting, scheduled, retrying and running jobs can be cancelled",
    event="operator.job.cancelled",
    carry_out=_cancel,
    fine=frozenset({"cancelled", "asked"}),
    # A unique key that one of the cancelled held may have let another into the line.
    hints={"asked": Hint.CONTROL, "cancelled": Hint.JOBS},
)

command = change_command(
    "cancel",
    _CHANGE,
    """Cancel jobs: by ids (or the beginnings of ids), or by filter.

    Pending jobs are cancelled; running ones are asked to stop, which their nodes hear at once or with their next beat.
    A filter asks first, or needs --yes. Piped, a line is: id and outcome (cancelled, asked, ended, missing, busy: somebody's
    open transaction has it, so that nothing was changed). Exits with 1 unless all were cancelled or asked.
    """,
)
