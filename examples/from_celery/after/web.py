"""The shop's front, with its work on backburner. What it answers is what it answered before."""

from __future__ import annotations

from contextlib import suppress

from fastapi import FastAPI

from backburner import JobNotFound
from from_celery.after import tasks
from from_celery.after.tasks import bb
from from_celery.shop import NewOrder, put_aside, take

app = FastAPI(lifespan=bb.lifespan)
#: The words that clients know.
STATES = {"completed": "SUCCESS", "dead": "FAILURE", "cancelled": "REVOKED", "running": "STARTED", "retrying": "RETRY"}


@app.post("/orders", status_code=202)
def order(new: NewOrder) -> dict[str, str | int]:
    """Take an order. With its table and the jobs in one database, ``tx=`` would close the gap between the two lines."""
    number = take(new)
    return {"order": number, "job": bb.blocking.create_task(tasks.charge(number), id=f"charge-{number}").id}


@app.post("/months", status_code=202)
async def month(customers: list[str]) -> dict[str, str]:
    """Close a month."""
    return {"job": (await bb.create_task(tasks.close_month(customers))).id}


@app.post("/baskets", status_code=201)
def basket(seconds: float) -> None:
    """Keep a basket for a while."""
    put_aside(seconds)


@app.get("/jobs/{job}")
async def poll(job: str, wait: float = 0.001) -> dict[str, object]:
    """Say how far a job has come, and what came of it."""
    with suppress(JobNotFound):  # Celery calls what it never heard of pending
        kind = tasks.charge if job.startswith("charge-") else tasks.close_month
        handle = bb.handle(job, kind)
        await handle.wait(wait)
        status = await handle.status()
        if status.state in STATES:
            return {
                "state": STATES[status.state],
                "result": await handle if status.state == "completed" else None,
            }
    return {"state": "PENDING", "result": None}
