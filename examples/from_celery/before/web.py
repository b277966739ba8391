"""The shop's front, with its work on Celery."""

from __future__ import annotations

from celery.exceptions import TimeoutError as NotYet
from fastapi import FastAPI

from from_celery.before import tasks
from from_celery.shop import NewOrder, put_aside, take

app = FastAPI()


@app.post("/orders", status_code=202)
def order(new: NewOrder) -> dict[str, str | int]:
    """Take an order. Should this process die between the two lines, nobody charges it."""
    number = take(new)
    return {"order": number, "job": tasks.charge_and_write(number)}


@app.post("/months", status_code=202)
def month(customers: list[str]) -> dict[str, str]:
    """Close a month."""
    return {"job": tasks.close_month(customers)}


@app.post("/baskets", status_code=201)
def basket(seconds: float) -> None:
    """Keep a basket for a while."""
    put_aside(seconds)


@app.get("/jobs/{job}")
def poll(job: str, wait: float = 0.001) -> dict[str, object]:
    """Say how far a job has come, and what came of it."""
    result = tasks.app.AsyncResult(job)
    try:
        result.get(timeout=wait, propagate=False)
    except NotYet:
        return {"state": result.state, "result": None}
    return {"state": result.state, "result": result.result if result.successful() else None}
