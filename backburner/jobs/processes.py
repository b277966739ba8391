"""Processes for `def` jobs: the engine's own few, one a run at a time, started on first use and kept warm."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol

from backburner.errors import BackburnerError, NotRunning
from backburner.jobs.frames import Answer, Checkpoint, Error, Load, Log, Progress, Refusal, Result, Stop, Then, Work
from backburner.jobs.process_child import ChildProcess
from backburner.jobs.process_loading import refuse_while_loading
from backburner.jobs.process_report import ChildError, revive
from backburner.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.jobs.kit import Kit
    from backburner.model.job import NewJob

__all__ = ["ChildError", "Host", "Processes", "Work"]

#: Seconds for a child without work to end by itself.
LEAVE = 5.0


class Host(Protocol):
    """What a run asks of its engine, from another process."""

    def begin(self) -> None:
        """Know that a process has been found for it."""
        ...

    def progress(self, done: int, total: int | None) -> None:
        """Take how far it has come."""
        ...

    async def checkpoint(self, text: str) -> None:
        """Save a JSON text; durable when it returns. What it raises of ours is raised in the job."""
        ...

    def then(self, job: NewJob) -> None:
        """Store a follow-up with the run's completion. What it raises of ours is raised in the job."""
        ...


class Processes:
    """Runs jobs in at most ``limit`` child processes, first come first served; no child is shared.

    A child is reused for run after run. It is replaced when it dies, when importing a job's module failed in it, or
    when runs leave memory behind (`child_memory.LEAK`). Killing one takes along what its jobs started, unless that
    began a session of its own. Raises `NotInThisProcess` while a child imports a job's module.
    """

    def __init__(self, limit: int, *, kit: Kit) -> None:
        refuse_while_loading()
        self._clock = kit.clock
        self._turns = asyncio.Semaphore(limit)
        self._children: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []
        self._busy: dict[str, ChildProcess] = {}
        self._closed = False

    async def run(self, work: Work, host: Host) -> str:
        """Run a job and return its result as JSON text.

        Raises `ChildError` for what the job raised, but signals and `KeyboardInterrupt` as they are; `ProcessDied`; and
        `asyncio.CancelledError`, for which the child is killed at once. However it ends, what ran it has ended or waits
        for its next run.
        """
        await self._turns.acquire()
        try:
            child = self._take()
        except BaseException:
            self._turns.release()
            raise
        self._busy[work.id] = child
        host.begin()
        warm = False
        try:
            end = await self._converse(child, work, host)
            warm = not end.last
        except BaseException as error:
            child.kill()
            if not isinstance(error, GeneratorExit):  # nothing can be awaited in that one
                await child.end()
            raise
        finally:
            del self._busy[work.id]
            self._give_back(child, warm=warm)
        if isinstance(end, Error):
            raise revive(end.report)
        return end.text

    def stopping(self, work_id: str) -> None:
        """Show a run that it is asked to end."""
        child = self._busy.get(work_id)
        if child is not None:
            child.send(Stop(work_id))

    async def close(self) -> None:
        """End every child: those without work by themselves, those that run something by a kill."""
        self._closed = True
        for child in self._busy.values():
            child.kill()
        children = tuple(self._children)
        for child in self._idle:
            child.retire()
        timer = self._clock.call_later(LEAVE, partial(_kill_all, children))
        try:
            if children:
                await asyncio.wait([child.gone for child in children])
        finally:
            timer.cancel()
            _kill_all(children)

    def _take(self) -> ChildProcess:
        """Return a child that lives and has no work, the last to have had any: the others' memory may rest."""
        if self._closed:
            raise NotRunning
        while self._idle:
            child = self._idle.pop()
            if not child.gone.done():
                return child
        child = ChildProcess()
        self._children.add(child)
        child.gone.add_done_callback(lambda _: self._children.discard(child))
        return child

    def _give_back(self, child: ChildProcess, *, warm: bool) -> None:
        """Keep a child for the next run; or let it end, and another take its place once it has."""
        if warm and not self._closed:
            self._idle.append(child)
            self._turns.release()
        else:
            child.retire()
            child.gone.add_done_callback(lambda _: self._turns.release())

    async def _converse(self, child: ChildProcess, work: Work, host: Host) -> Result | Error:
        if work.place not in child.loaded:
            child.loaded.add(work.place)
            child.send(Load(work.place, path=list(map(os.fsencode, sys.path)), argv=list(map(os.fsencode, sys.argv))))
        child.send(work)
        while True:
            frame = await child.receive()
            match frame:
                case Result() | Error():
                    return frame
                case Progress():
                    host.progress(frame.done, frame.total)
                case Log():
                    getattr(get_logger("backburner.job"), frame.level)(frame.event, **frame.fields)
                case Checkpoint() | Then():
                    child.send(Answer(await _refusal(frame, host)))


async def _refusal(frame: Checkpoint | Then, host: Host) -> Refusal | None:
    try:
        if isinstance(frame, Then):
            host.then(frame.job)
        else:
            await host.checkpoint(frame.text)
    except BackburnerError as error:
        return Refusal(type(error).__name__, str(error))
    return None


def _kill_all(children: Iterable[ChildProcess]) -> None:
    for child in children:
        child.kill()
