"""Jobs that store jobs, tell and save, and complete themselves; the same in every process. And a worker of them.

    python -m tests.chaos.programs.family FOLDER QUEUE…

says `ready`, and stops without grace at the end of its input. It takes lines: `unique N` stores one unique job N times at
once and says `stored`. With CHAOS_KILL it kills itself, as by `kill -9`, where a run comes to that point:

noted        a follow-up was noted                      effect       the caller's row is written, in its transaction
settling     before the store's transaction             completed    between `complete` and the commit
written      inside of it, before its commit            committed    after the commit, before the run returns
settled      after its commit
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import aiosqlite

from backburner import Backburner, RetryPolicy, Unique, constant, current_job
from backburner.backends.sqlite.jobs import SqliteJobStore
from backburner.backends.sqlite.transaction import Unit
from backburner.model.job import JobState
from tests.chaos.programs.jobs import write

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from sqlite3 import Connection

    from backburner.model.job import Settlement
    from backburner.ports.jobs import ClaimRequest, Settled

__all__ = ["CHILDREN", "Family", "connected"]

#: A parent's children: the first half ends at once, the others wait for the file `go`.
CHILDREN = 8


@asynccontextmanager
async def connected(folder: Path) -> AsyncGenerator[aiosqlite.Connection]:
    """Open an app's own connection to the file of the jobs, with a table of its own."""
    async with aiosqlite.connect(folder / "jobs.db") as connection:
        await connection.execute("PRAGMA busy_timeout = 5000")
        await connection.execute("CREATE TABLE IF NOT EXISTS effects (job TEXT)")
        await connection.commit()
        yield connection


class Family:
    """An engine on the store of a folder, and its jobs."""

    def __init__(self, folder: Path, *, queues: Mapping[str, int] | None = None, run: bool = True) -> None:
        self.folder = folder
        self.kill_at = os.environ.get("CHAOS_KILL", "")
        #: A settlement that completes a job with follow-ups is under way.
        self.completing = False
        retry = RetryPolicy(attempts=3, backoff=constant(0.01))
        self.bb = bb = Backburner(f"sqlite:///{folder}/jobs.db", queues=queues, run=run, retry=retry, grace=0)

        @bb.job(queue="children")
        async def child(number: int) -> int:
            self.began(child=number)
            if number >= CHILDREN // 2:
                await self._go()
            return number

        @bb.job
        async def parent() -> int:
            self.began()
            async with bb.TaskGroup() as group:
                children = [group.create_task(child(number)) for number in range(CHILDREN)]
            return sum([await each for each in children])

        @bb.job
        async def walker() -> object:
            job = current_job()
            if job.attempt == 1:
                await job.progress(3, 10)
                await job.checkpoint({"at": 3})
                self.began()
                await asyncio.Event().wait()
            return job.last_checkpoint

        @bb.job
        async def after(job: str) -> None:
            self.began(after=job)

        @bb.job
        async def first() -> None:
            self.began()
            current_job().then(after(current_job().id), queue="children")
            self.reached("noted")

        @bb.job
        async def pay() -> str:
            self.began()
            job = current_job()
            async with connected(folder) as connection:
                await connection.execute("INSERT INTO effects VALUES (?)", (job.id,))
                self.reached("effect")
                job.then(after(job.id), queue="children")
                await job.complete("paid", tx=connection)
                self.reached("completed")
                await connection.commit()
            self.reached("committed")
            return "not looked at"

        @bb.job(unique=Unique())
        async def refresh() -> None:
            self.began()
            await self._go()

        self.child, self.parent, self.walker = child, parent, walker
        self.after, self.first, self.pay, self.refresh = after, first, pay, refresh

    def began(self, **fields: object) -> None:
        """Write that a run has come here."""
        job = current_job()
        write(self.folder, "start", job=job.id, kind=job.kind, claim=job.token, attempt=job.attempt, **fields)

    def reached(self, point: str) -> None:
        """Die if this is the place."""
        if point == self.kill_at:
            self.die()

    def die(self) -> NoReturn:
        """Die as by `kill -9`, and have said so."""
        write(self.folder, "kill", killed=os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    async def _go(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self.folder / "go").exists():
            turn = loop.create_future()
            loop.call_later(0.01, turn.set_result, None)
            await turn


def set_traps(family: Family) -> None:
    """Stand around and inside the store's transaction that completes a job with follow-ups."""
    settle = SqliteJobStore.settle
    make: Callable[..., None] = vars(Unit)["__init__"]

    async def trapped_settle(
        store: SqliteJobStore,
        node: str,
        settlements: Sequence[Settlement],
        claim: ClaimRequest | None = None,
        tx: object = None,
    ) -> Settled:
        completing = tx is None and any(each.state is JobState.COMPLETED and each.jobs for each in settlements)
        if completing:
            family.reached("settling")
            family.completing = True
        answer = await settle(store, node, settlements, claim, tx)
        if completing:
            family.reached("settled")
        return answer

    def trapped_make(unit: Unit[Any], work: Callable[[Connection], Any], future: Future[Any], *, limited: bool) -> None:
        armed = family.completing

        def trapped_work(connection: Connection) -> object:
            value = work(connection)
            if armed:
                family.reached("written")
            return value

        make(unit, trapped_work, future, limited=limited)

    setattr(SqliteJobStore, "settle", trapped_settle)  # noqa: B010 - a trap, known as such to the type checkers
    setattr(Unit, "__init__", trapped_make)  # noqa: B010


async def main(folder: Path, queues: Sequence[str]) -> None:
    """Run until the input ends."""
    family = Family(folder, queues=dict.fromkeys(queues, 10))
    set_traps(family)
    async with family.bb:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.split():
                case ["unique", count]:
                    stored = [family.bb.create_task(family.refresh()) for _ in range(int(count))]
                    for handle in await asyncio.gather(*stored):
                        write(folder, "stored", job=handle.id, existed=handle.existed)
                    say("stored")
                case words:
                    raise ValueError(words)


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
