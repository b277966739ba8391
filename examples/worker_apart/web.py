"""What answers requests: it stores jobs and reads what became of them. With BACKBURNER_RUN=0 it runs none."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, PositiveInt

from backburner import JobNotFound
from worker_apart.jobs import bb, render

app = FastAPI(lifespan=bb.lifespan)


class Wanted(BaseModel):
    """What somebody asks for."""

    title: str
    pages: PositiveInt = 10
    to: str


@app.post("/reports", status_code=202)
async def ask(wanted: Wanted) -> dict[str, str]:
    """Take an order for a report; it is stored when this answers."""
    return {"job": (await bb.create_task(render(wanted.title, wanted.pages, wanted.to))).id}


@app.get("/reports/{job}")
async def show(job: str, wait: float = 0) -> dict[str, object]:
    """Show how far a report has come; ``?wait=5`` answers when it is ready, or after five seconds."""
    handle = bb.handle(job, render)
    try:
        await handle.wait(wait)
        status = await handle.status()
    except JobNotFound:
        raise HTTPException(404) from None
    return {
        "state": status.state,
        "progress": status.progress,
        "report": await handle if status.state == "completed" else None,
    }
