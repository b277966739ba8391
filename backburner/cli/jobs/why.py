"""`backburner jobs why`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from rich.text import Text

from backburner.cli.exits import Exit, Failed
from backburner.cli.jobs.lookup import look_up
from backburner.cli.jobs.record import state_of
from backburner.cli.jobs.waiting import reason_json, sentence
from backburner.cli.render import Mode, json_option, mode, one, safe
from backburner.cli.store import opened, url_option
from backburner.cli.times import iso
from backburner.jobs.explaining import Explainer
from backburner.model.clock import instant

if TYPE_CHECKING:
    from backburner.jobs.reasons import Reason

__all__ = ["command"]


@click.command("why")
@click.argument("job_id", metavar="ID")
@json_option
@url_option
def command(*, job_id: str, as_json: bool, url: str | None) -> None:
    """Say what a job waits for, and until when; of one that is running or has ended, that.

    ID may be the beginning of an id, as long as no other begins so. Piped, each reason is a line: a word for programs,
    the sentence, until when as far as is known, the first few jobs in its way. Exits with 3 if there is no such job.
    """
    asyncio.run(_why(job_id, mode(as_json=as_json), url))


async def _why(job_id: str, how: Mode, url: str | None) -> None:
    async with opened(url) as backend:
        page = await look_up(backend.reader, job_id)
        if not page.jobs:
            raise Failed(f"there is no job {job_id}; its retention may have passed", Exit.NOTHING)
        job = page.jobs[0]
        found = await Explainer(backend).explain(job, page.now)
    value = {"id": job.id, "state": state_of(job, page.now), "reasons": [reason_json(reason) for reason in found]}
    fields = [_fields(reason) for reason in found] if how is Mode.LINES else []
    one(how, value, fields, text=[Text(safe(sentence(reason, page.now))) for reason in found])


def _fields(reason: Reason) -> tuple[str, ...]:
    until = "" if reason.until is None else iso(instant(reason.until))
    return (reason.code, reason.text, until, ",".join(reason.jobs))
