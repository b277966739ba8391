"""What a live view does for a person: as the commands of the same names, with the same audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.controls import controls
from backburner.cli.top.state import Verb
from backburner.errors import BackburnerError
from backburner.model.telling import tell
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from backburner.cli.controls import Controls
    from backburner.cli.top.state import Act

__all__ = ["carry_out"]


async def carry_out(act: Act, url: str | None, by: str | None) -> str:
    """Do it, on a connection of its own that may write; return what became of it, or why it could not be done."""
    reason = act.reason or None
    try:
        async with controls(url, write=True) as opened:
            match act.verb:
                case Verb.PAUSE:
                    await opened.queues.pause(act.target, reason=reason, by=by)
                    return f"queue {act.target} is paused"
                case Verb.RESUME:
                    await opened.queues.resume(act.target, reason=reason, by=by)
                    return f"queue {act.target} goes on"
                case Verb.CANCEL:
                    return await _cancel(opened, act.target, reason, by)
    except (BackburnerError, OSError) as error:
        return f"could not {act.verb} {act.target}: {error}"


async def _cancel(opened: Controls, job_id: str, reason: str | None, by: str | None) -> str:
    told = tell("operator.job.cancelled", job_id, by=by, reason=reason, jobs=1)
    answer = await opened.backend.admin.cancel([job_id], events=(told,))
    if answer.cancelled:
        opened.hints.add(Hint.JOBS)
        return f"job {job_id} is cancelled"
    if answer.asked:
        opened.hints.add(Hint.CONTROL)
        return f"job {job_id} is asked to stop"
    if answer.busy:
        return f"somebody's open transaction has job {job_id}: nothing was changed"
    return f"job {job_id} had ended"
