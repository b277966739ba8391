"""The old queue's last worker: of what Celery's producers still send, it stores as jobs what has moved, and runs the rest.

    celery -A from_celery.between worker        # in place of the old one, and without its beat

So workers move before producers do, producers one by one, and tasks kind by kind. What a job was called in Celery stands at
the job, as an alias. A message that comes twice is one job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from from_celery.after.tasks import bb, charge, receipt
from from_celery.before.tasks import app

if TYPE_CHECKING:
    from celery import Task

    from backburner import Job


def hand_over(name: str, job: Job[..., Any]) -> None:
    """Have the messages of a task stored as jobs."""
    del app.tasks[name]

    @app.task(name=name, bind=True, autoretry_for=(Exception,), max_retries=None, retry_backoff=True)
    def store(self: Task, *args: Any, **kwargs: Any) -> str:  # type: ignore[type-arg]  # noqa: ANN401
        self.request.chain = None  # what follows the task is the job's own to store
        return bb.blocking.create_task(job(*args, **kwargs), id=f"celery-{self.request.id}").id


app.finalize()
for each in (charge, receipt):
    for alias in each.definition.aliases:
        hand_over(alias, each)
