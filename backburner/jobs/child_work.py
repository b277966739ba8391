"""In a child: what it does, one order after the other, in the process's main thread."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, ExitStack, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from backburner.jobs.child_find import find
from backburner.jobs.child_memory import Memory
from backburner.jobs.child_run import ChildRun
from backburner.jobs.context import current_run
from backburner.jobs.frames import Error, Load, Result
from backburner.jobs.process_report import MAIN, report
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backburner.jobs.child_pipe import Pipe
    from backburner.jobs.definition import Definition
    from backburner.jobs.dependencies import Dependencies
    from backburner.jobs.frames import Work
    from backburner.jobs.planning import Opened
    from backburner.jobs.process_place import Place

__all__ = ["Child"]


class Child:
    """Runs jobs until the engine hangs up."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._clock = SystemClock()
        self._memory = Memory()
        self._found: dict[Place, Definition | BaseException] = {}
        self._runner: asyncio.Runner | None = None

    def work(self) -> None:
        """Do what is ordered, until the end."""
        while (order := self._pipe.orders.get()) is not None:
            if isinstance(order, Load):
                self._load(order)
                continue
            frame = copy_context().run(self._run, order)
            self._flush()
            self._pipe.busy = False
            try:
                self._pipe.send(frame)
            except OSError:
                # The engine hung up, or this is a copy that the job forked and that outlived its function.
                os._exit(1)
        if self._runner is not None:
            self._runner.close()

    def _load(self, load: Load) -> None:
        try:
            self._found[load.place] = find(load)
        except BaseException as error:  # noqa: BLE001 - the error of the run that it was loaded for
            self._found[load.place] = error

    def _run(self, work: Work) -> Result | Error:
        main = (MAIN if work.place.file else work.place.module) if work.place.main else None
        found = self._found[work.place]
        if isinstance(found, BaseException):
            # What a failed import left half-way does not stay for the next try.
            return Error(report(found, self._clock.now(), main), last=True)
        found.signature.hide(work.secrets)
        run = ChildRun(work, found.signature, self._pipe)
        current_run.set(run)
        try:
            text = self._call(found, work)
        except BaseException as error:  # noqa: BLE001 - every way a job can end is reported
            run.over = True
            clean = found.signature.secrets(work.args) or str
            return Error(report(error, self._clock.now(), main, clean), last=self._memory.leaked(work.kind))
        run.over = True
        return Result(text, last=self._memory.leaked(work.kind))

    def _call(self, definition: Definition, work: Work) -> str:
        args, kwargs = definition.signature.decode(work.args)

        def call(provided: Mapping[str, object]) -> str:
            try:
                return definition.signature.encode_result(definition.fn(*args, **kwargs, **provided), work.result_limit)
            except StopIteration as error:
                # No future can carry one; a job in a thread fails in the same words.
                raise RuntimeError("the job raised StopIteration") from error

        return call({}) if definition.dependencies is None else self._provided(definition.dependencies, call)

    def _provided(self, dependencies: Dependencies, call: Callable[[Mapping[str, object]], str]) -> str:
        """Call with what has to be opened, and close that again.

        One task opens and closes, as scopes and task groups demand; the loop stands still while the job runs, so that
        the job may run one of its own.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()
        loop = self._runner.get_loop()
        opened: asyncio.Future[Opened] = loop.create_future()
        called: asyncio.Future[str] = loop.create_future()

        async def hold() -> str:
            async with AsyncExitStack() as stack:
                opened.set_result(await dependencies.open_async(stack))
                return await called
            raise AssertionError  # dependencies let the job's exceptions through

        task = loop.create_task(hold(), context=copy_context())
        either: tuple[asyncio.Future[Any], ...] = (task, opened)
        loop.run_until_complete(asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED))
        if opened.done():
            try:
                with ExitStack() as stack:
                    text = call(dependencies.open_sync(stack, opened.result()))
                called.set_result(text)
            except BaseException as error:  # noqa: BLE001 - what is open is told of it, then the engine
                called.set_exception(error)
        return loop.run_until_complete(task)

    @staticmethod
    def _flush() -> None:
        """Let what the job printed out before its end is told."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                # Whoever read it is gone: the job's own loss, and not its failure.
                with suppress(OSError, ValueError):
                    stream.flush()
