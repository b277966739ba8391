"""The old queue's last worker: it stores as a job what Celery's producers still send. Start it in place of theirs.

    celery -A from_celery.between worker

So workers can be moved before producers are, and producers one by one. What a job was called in Celery stands at the job,
as an alias; a message that comes twice is one job.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery import Celery, Task

from from_celery.after.tasks import bb, charge, receipt

if TYPE_CHECKING:
    from backburner import Job

REDIS = os.environ.get("REDIS_URL", "redis://localhost:6379/0")

app = Celery("shop", broker=REDIS)
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, task_ignore_result=True)


def hand_over(name: str, job: Job[..., Any]) -> None:
    """Have the messages of a task stored as jobs."""

    @app.task(name=name, bind=True, autoretry_for=(Exception,), max_retries=None, retry_backoff=True)
    def store(self: Task, *args: Any, **kwargs: Any) -> str:  # type: ignore[type-arg]  # noqa: ANN401
        self.request.chain = None  # what follows the task is the job's own to store
        return bb.blocking.create_task(job(*args, **kwargs), id=f"celery-{self.request.id}").id


for each in (charge, receipt):
    for alias in each.definition.aliases:
        hand_over(alias, each)
