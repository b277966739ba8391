"""What the workers run. This module knows no web: workers import it alone, and so may a script."""

from __future__ import annotations

import asyncio

from backburner import Backburner, current_job

#: BACKBURNER_URL says where jobs are kept, the same for all processes; else in backburner.db, where they are started.
#: What the queues are given here, `backburner run --queues` may change for one worker.
bb = Backburner(queues={"mail": 10, "reports": 2})


@bb.job(queue="reports")
async def render(title: str, pages: int, to: str) -> str:
    """Render a report, page by page; then have it sent, in the step that completes this job.

    A worker that is killed loses no more than the page it was at: the next one goes on after the last checkpoint.
    """
    job = current_job()
    for page in range(job.last_checkpoint or 0, pages):
        await asyncio.sleep(0.1)  # stands for the work
        await job.checkpoint(page + 1)
        await job.progress(page + 1, pages)
        print(f"{title}: page {page + 1}", flush=True)
    job.then(send(to, f"{title} is ready"))
    return f"{title}, {pages} pages"


@bb.job(queue="mail")
async def send(to: str, text: str) -> str:
    """Send a mail. A report that takes its time never holds one up: mails have a queue, and slots, of their own."""
    print(f"mail to {to}: {text}", flush=True)
    return "sent"
