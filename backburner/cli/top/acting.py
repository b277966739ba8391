"""What a live view does for a person: as the commands of the same names, with the same audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.controls import controls
from backburner.cli.top.state import Verb
from backburner.errors import BackburnerError
from backburner.model.telling import tell
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from backburner.cli.top.state import Act
    from backburner.ports.backend import Backend

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
                    return await _cancel(opened.backend, act.target, reason, by)
    except (BackburnerError, OSError) as error:
        return f"could not {act.verb} {act.target}: {error}"


async def _cancel(backend: Backend, job_id: str, reason: str | None, by: str | None) -> str:
    told = tell("operator.job.cancelled", job_id, by=by, reason=reason, jobs=1)
    answer = await backend.admin.cancel([job_id], events=(told,))
    if answer.cancelled:
        await backend.notifier.notify(Hint.JOBS)
        return f"job {job_id} is cancelled"
    if answer.asked:
        await backend.notifier.notify(Hint.CONTROL)
        return f"job {job_id} is asked to stop"
    if answer.busy:
        return f"somebody's open transaction has job {job_id}: nothing was changed"
    return f"job {job_id} had ended"
