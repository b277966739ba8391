"""Sentry hears of dead letters, once each, and of nothing that mends itself.

As docs/how-to/trace.md has it, whose Python is run here and in test_tracing.py. Sentry patches what it finds in its
process, so the apps run in processes of their own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs" / "how-to" / "trace.md").read_text("utf-8")
_, _, STDLIB, SENTRY, STRUCTLOG = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
#: What the page has an app do, by how it logs.
LOGGING = {"stdlib": STDLIB, "structlog": STRUCTLOG}
#: As on the page, but that nothing leaves the process, and with all that Sentry can watch in an app of asyncio.
INIT = SENTRY.replace('/1")', '/1", transport=kept, integrations=[AsyncioIntegration()])')
APP = """
import asyncio, json, os, sys
from sentry_sdk.integrations.asyncio import AsyncioIntegration
from sentry_sdk.transport import Transport
from backburner import Backburner, Cancel, JobCancelled, JobDead, Reject, RetryPolicy, Snooze, constant, current_job

class Kept(Transport):
    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            self.events.append(event)

kept = Kept()
bb = Backburner(sys.argv[1], retry=RetryPolicy(attempts=3, backoff=constant(0.001)))

@bb.job
async def broken(number: int) -> None:
    raise ConnectionError(f"no route for {number}")

@bb.job
def broken_thread() -> None:
    raise LookupError("in a thread")

@bb.job
async def rejected() -> None:
    raise Reject("no such order")

@bb.job
async def mends_itself() -> int:
    if current_job().attempt < 3:
        raise ConnectionError("for now")
    return current_job().attempt

@bb.job
async def snoozes() -> None:
    if current_job().attempt == 1:
        raise Snooze(delay=0)

@bb.job
async def cancels() -> None:
    raise Cancel("not wanted any more")

@bb.job
async def dies_once() -> int:
    if current_job().attempt == 1:
        os._exit(9)
    return current_job().attempt

async def main():
INIT
    async with bb:
        await WORK()
    sentry_sdk.flush()
    print(json.dumps([
        {
            "level": event["level"],
            "logger": event.get("logger"),
            "types": [value["type"] for value in event.get("exception", {}).get("values", [])],
            "message": event.get("logentry", {}).get("message", event.get("message")),
        }
        for event in kept.events
    ]))
"""


def run(app: str, folder: Path, *, logging: str, code: int = 0) -> Sequence[dict[str, Any]]:
    """Run an app's work; return the events that Sentry was sent."""
    done = perform(app, folder, logging=logging, code=code)
    events: list[dict[str, Any]] = json.loads(done.stdout) if code == 0 else []
    return events


def perform(app: str, folder: Path, *, logging: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run an app's work in a process of its own, which ends with a code."""
    base = APP.replace("WORK", "work").replace("INIT", indent(INIT, "    "))
    text = f"{LOGGING[logging]}\n{base}\nasync def work():\n{app}\nasyncio.run(main())\n"
    program = folder / "app.py"
    program.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, str(program), f"sqlite:///{folder}/jobs.db"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(HERE)},
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


DEATHS = """
    for call in (broken(1), broken(2), broken_thread(), rejected()):
        try:
            await (await bb.create_task(call))
        except JobDead:
            pass
"""
OTHERS = """
    assert await (await bb.create_task(mends_itself())) == 3
    await (await bb.create_task(snoozes()))
    for handle in (await bb.create_task(cancels()), await bb.create_task(broken(3), delay=60)):
        await handle.cancel()
        try:
            await handle
        except JobCancelled:
            pass
"""
BEGUN = """
    await (await bb.create_task(dies_once(), id="a1"))
"""
TAKEN_OVER = """
    assert await bb.handle("a1", dies_once) == 2
"""


@pytest.mark.parametrize("logging", LOGGING)
def test_one_event_for_each_dead_letter(tmp_path: Path, logging: str) -> None:
    """Each death is one event, an error with its exception, whatever ran the job; its retries are none."""
    events = run(DEATHS, tmp_path, logging=logging)
    assert [(event["level"], event["logger"], event["types"]) for event in events] == [
        ("error", "backburner.job", ["ConnectionError"]),
        ("error", "backburner.job", ["ConnectionError"]),
        ("error", "backburner.job", ["LookupError"]),
        ("error", "backburner.job", ["Reject"]),
    ]


def test_structlog_writes_the_fields(tmp_path: Path) -> None:
    """What passes through the standard library for Sentry's sake is in the log whole: who died, of what, and where."""
    done = perform(DEATHS, tmp_path, logging="structlog")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    deaths = [line for line in lines if line["event"] == "job.dead"]
    assert [line["kind"] for line in deaths] == ["broken", "broken", "broken_thread", "rejected"]
    assert all(line["level"] == "error" and line["id"] for line in deaths)
    assert "no route for 1" in deaths[0]["exception"]


@pytest.mark.parametrize("logging", LOGGING)
def test_no_event_for_anything_else(tmp_path: Path, logging: str) -> None:
    """Retries that mend themselves, snoozes and cancellations are nobody's alarm."""
    assert run(OTHERS, tmp_path, logging=logging) == []


@pytest.mark.parametrize("logging", LOGGING)
def test_no_event_for_a_dead_node(tmp_path: Path, logging: str) -> None:
    """A job that is taken over from a process that died, and then completes, is none."""
    run(BEGUN, tmp_path, logging=logging, code=9)
    assert run(TAKEN_OVER, tmp_path, logging=logging) == []
