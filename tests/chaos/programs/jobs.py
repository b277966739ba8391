"""The jobs of the chaos tests, and the history that every process writes: one line an event, appended whole."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

from backburner import Backburner, RetryPolicy, current_job
from backburner.resilience.backoff import constant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path
    from typing import Unpack

    from backburner.app import Options

__all__ = ["Plant", "store_of", "write"]


def write(folder: Path, event: str, **fields: object) -> None:
    """Append one event; one write to a file opened for appending is never torn nor interleaved."""
    line = {"event": event, "pid": os.getpid(), "at": time.clock_gettime(time.CLOCK_MONOTONIC), **fields}
    file = os.open(folder / "history", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def store_of(folder: Path) -> str:
    """Return the URL of a folder's store: what the file `store` says, else a file of its own."""
    told = folder / "store"
    return told.read_text() if told.exists() else f"sqlite:///{folder}/jobs.db"


class Plant:
    """An engine on the store of a folder, and its jobs, the same in every process."""

    def __init__(self, folder: Path, **options: Unpack[Options]) -> None:
        self.folder = folder
        #: What the `hold` waits for, in its first attempt.
        self.go = asyncio.Event()
        #: Where this process kills itself; nowhere by default.
        self.kill_at = ""
        settings: Options = {"retry": RetryPolicy(attempts=3, backoff=constant(0.01)), "grace": 5, **options}
        self.bb = Backburner(store_of(folder), **settings)

        @self.bb.job
        async def step(number: int) -> int:
            async with self.run():
                return number

        @self.bb.job
        async def hold(number: int) -> int:
            async with self.run():
                if current_job().attempt == 1:
                    await self._held()
                return number

        @self.bb.job
        async def killer() -> None:
            async with self.run():
                await _work(0.05)
                self.die()

        @self.bb.job
        async def innocent(number: int) -> int:
            async with self.run():
                await _work(0.3)
                return number

        @self.bb.job
        async def labour(number: int) -> int:
            async with self.run():
                await _work(number % 100 / 1000)
                return number

        self.step, self.hold, self.labour = step, hold, labour
        self.killer, self.innocent = killer, innocent

    def die(self) -> NoReturn:
        """Die as by `kill -9`, and have said so."""
        write(self.folder, "kill", killed=os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    def reached(self, point: str) -> None:
        """Die if this is the place."""
        if point == self.kill_at:
            self.die()

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Write the start of a run, and its end however it ends."""
        job = current_job()
        fields = {"job": job.id, "claim": job.token, "attempt": job.attempt}
        write(self.folder, "start", **fields)
        how = "returned"
        try:
            yield
            write(self.folder, "effect", **fields)
            self.reached("effect")
        except BaseException as error:
            how = type(error).__name__
            raise
        finally:
            write(self.folder, "end", how=how, **fields)

    async def _held(self) -> None:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.reached("shutdown")
            raise


async def _work(seconds: float) -> None:
    """Take time, as work does."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(seconds, done.set_result, None)
    await done
