"""Runs a job's function: on the loop, in a thread or in a process, with what it depends on open around it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any

from backburner.jobs.process_place import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backburner.jobs.definition import Definition
    from backburner.jobs.dependencies import Dependencies
    from backburner.jobs.desk import Desk
    from backburner.jobs.home import Home
    from backburner.jobs.kit import Kit
    from backburner.jobs.planning import Overrides
    from backburner.jobs.processes import Processes
    from backburner.jobs.run import Run
    from backburner.jobs.threads import Threads
    from backburner.model.job import NewJob

__all__ = ["Performer", "perform_here"]


class Performer:
    """Performs what is more than a plain call on the loop. Limits are in bytes, of processes a number."""

    def __init__(
        self,
        threads: Threads,
        desk: Desk,
        home: Home,
        *,
        processes: int,
        argument_limit: int,
        result_limit: int,
        kit: Kit,
    ) -> None:
        self._threads = threads
        self._desk = desk
        self._home = home
        self._process_limit = processes
        self._argument_limit = argument_limit
        self._result_limit = result_limit
        self._kit = kit
        #: Made for the first process job.
        self._processes: Processes | None = None

    async def perform(self, run: Run, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, str]:
        """Run a job's function; return its result, and that as JSON text."""
        match run.definition.executor:
            case "loop":
                return await self._on_the_loop(run, args, kwargs)
            case "thread":
                return await self._in_a_thread(run, args, kwargs)
            case "process":
                text = await self._in_a_process(run)
                return run.definition.signature.decode_result(text), text

    def stopping(self, run: Run) -> None:
        """Show a run in a process that it is asked to end."""
        if self._processes is not None:
            self._processes.stopping(run.id)

    async def close(self) -> None:
        """End the processes."""
        if self._processes is not None:
            await self._processes.close()

    async def _on_the_loop(self, run: Run, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, str]:
        definition = run.definition
        work = definition.fn
        if definition.dependencies is None:
            result = await work(*args, **kwargs)
            return result, self._desk.executor.encode(definition, result)
        async with AsyncExitStack() as stack:
            provided = await definition.dependencies.open(stack, {}, self._home.overrides)
            result = await work(*args, **kwargs, **provided)
            # Written while all is open: a result may load from its session what it has not read yet.
            return result, self._desk.executor.encode(definition, result)
        raise AssertionError  # dependencies let the job's exceptions through

    async def _in_a_thread(self, run: Run, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, str]:
        encode = self._desk.executor.encode
        definition = run.definition
        loop = asyncio.get_running_loop()

        def call(provided: Mapping[str, object]) -> tuple[object, str]:
            result = definition.fn(*args, **kwargs, **provided)
            return result, encode(definition, result)

        executor = self._desk.executor

        def work() -> tuple[object, str]:
            run.thread = get_ident()
            with suppress(RuntimeError):  # the loop was closed without a stop
                loop.call_soon_threadsafe(executor.begin, run)
            try:
                if run.why is not None:
                    raise asyncio.CancelledError
                return call({}) if definition.dependencies is None else _provided(definition.dependencies, call, opened)
            except StopIteration as error:
                # No future can carry one; a coroutine that raises it fails in the same words.
                raise RuntimeError("the job raised StopIteration") from error
            finally:
                run.thread = None

        async with AsyncExitStack() as stack:
            opened: Any = None
            if definition.dependencies is not None:
                opened = await definition.dependencies.open_async(stack, {}, self._home.overrides)
            submitted = self._threads.submit(work)
            executor.wait(run, submitted.cancel)
            future = asyncio.wrap_future(submitted)
            # A thread cannot be stopped: only an engine that gives the run up cancels this wait, and not the thread.
            run.begun = False
            await asyncio.wait([future])
            run.waiting = None
            run.begun = True
            return future.result()
        raise AssertionError  # dependencies let the job's exceptions through

    async def _in_a_process(self, run: Run) -> str:
        from backburner.jobs.processes import Processes, Work  # noqa: PLC0415 - loaded for the first process job alone

        if self._processes is None:
            self._processes = Processes(self._process_limit, kit=self._kit)
        claim, definition = run.claim, run.definition
        work = Work(
            place=place_of(definition.fn, definition.kind),
            id=claim.id,
            kind=claim.kind,
            queue=claim.queue,
            attempt=claim.attempt,
            token=claim.token,
            args=claim.args,
            headers={**run.headers, **self._kit.hooks.carry()},
            checkpoint=claim.checkpoint,
            result_limit=self._result_limit,
            argument_limit=self._argument_limit,
            secrets=sorted(definition.signature.named),
        )
        task = run.task
        if task is not None:
            self._desk.executor.wait(run, task.cancel)
        return await self._processes.run(work, _Host(run, self._desk))


class _Host:
    """What a run in another process asks of its desk."""

    def __init__(self, run: Run, desk: Desk) -> None:
        self._run = run
        self._desk = desk

    def begin(self) -> None:
        """Know that a process has been found for it."""
        self._desk.executor.begin(self._run)

    def progress(self, done: int, total: int | None) -> None:
        """Take how far it has come."""
        self._desk.tell(self._run, done, total)

    async def checkpoint(self, text: str) -> None:
        """Save a JSON text."""
        await self._desk.save(self._run, text)

    def then(self, job: NewJob) -> None:
        """Store a follow-up with the run's completion."""
        self._desk.follow(self._run, job)


def _provided(dependencies: Dependencies, call: Callable[[Mapping[str, object]], Any], opened: Any) -> Any:  # noqa: ANN401
    """Call a function in the job's thread, with what is opened there."""
    with ExitStack() as stack:
        return call(dependencies.open_sync(stack, opened))


async def perform_here(definition: Definition, bound: Mapping[str, object], given: Mapping[str, object]) -> Any:  # noqa: ANN401
    """Run a function in this task, a `def` in a thread of the loop's own, so that the loop goes on."""
    args, kwargs = definition.signature.spread(bound)
    dependencies = definition.dependencies
    if dependencies is None:
        if definition.executor == "loop":
            return await definition.fn(*args, **kwargs)
        return await asyncio.to_thread(definition.fn, *args, **kwargs)
    overrides: Overrides = {}
    for home in definition.homes:
        overrides = {**overrides, **home.overrides}
    async with AsyncExitStack() as stack:
        if definition.executor == "loop":
            provided = await dependencies.open(stack, given, overrides)
            return await definition.fn(*args, **kwargs, **provided)
        opened = await dependencies.open_async(stack, given, overrides)

        def call(provided: Mapping[str, object]) -> object:
            return definition.fn(*args, **kwargs, **provided)

        return await asyncio.to_thread(_provided, dependencies, call, opened)
    raise AssertionError  # dependencies let the job's exceptions through
