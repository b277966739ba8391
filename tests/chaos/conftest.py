"""Real processes on one store."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos.history import read
from tests.chaos.programs.jobs import write
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
#: Seconds within which anything must have happened, on a machine that does much else besides.
PATIENCE = 30.0
#: Seconds of a lease: where leases end by time, what a dead process ran is free after so long.
LEASE = 3


async def passed(seconds: float) -> None:
    """Wait for time to pass, between two looks at what other processes do."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()


class Program:
    """A child process that a test talks to by lines."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, errors: Path) -> None:
        self.process = process
        self._folder = folder
        self._errors = errors

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, line: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    async def says(self, word: str) -> None:
        """Wait until it says a word."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line.decode().strip() == word, await self.ended()

    async def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit status and what it wrote to stderr."""
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()
        assert self.process.returncode is not None
        return self.process.returncode, self._errors.read_text()

    async def stop(self) -> None:
        """End its input, and wait until it has ended well."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status, errors = await self.ended()
        assert status == 0, errors

    def kill(self) -> None:
        """Kill it with -9; it must not have ended before."""
        assert self.process.returncode is None, self._errors.read_text()
        write(self._folder, "kill", killed=self.pid)
        self.process.kill()


class Theatre:
    """Starts programs, and leaves none behind."""

    def __init__(self, folder: Path, *, measured: bool = True) -> None:
        """Take a folder; programs that coverage does not measure are as quick as in real life."""
        self.folder = folder
        self._measured = measured
        self._programs: list[Program] = []

    async def start(self, *arguments: str, **environment: str) -> Program:
        """Start a Python program."""
        inherited = {
            name: value for name, value in os.environ.items() if self._measured or not name.startswith("COVERAGE_")
        }
        # A file takes all that it says; a pipe that nobody reads would hold it up.
        errors = self.folder / f"errors-{len(self._programs)}"
        with errors.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                cwd=ROOT,
                env=inherited | environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
            )
        program = Program(process, self.folder, errors)
        self._programs.append(program)
        return program

    async def node(self) -> Program:
        """Start a worker and wait until it is ready; where leases end by time, its own is short."""
        program = await self.start("-m", "tests.chaos.programs.node", str(self.folder), BACKBURNER_LEASE=f"{LEASE}s")
        await program.says("ready")
        return program

    async def close(self) -> None:
        """Kill what a failed test left, and what a program forked."""
        for event in read(self.folder):
            if event["event"] == "forked":
                os.kill(event["pid"], signal.SIGKILL)
        for program in self._programs:
            if program.process.returncode is None:
                program.process.kill()
                await program.ended()


@pytest.fixture
async def theatre(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Bring a folder for a store and a history, and programs on them: on SQLite, unless the test's parameters name another."""
    (tmp_path / "store").write_text(empty_store(getattr(request, "param", "sqlite"), request, tmp_path))
    made = Theatre(tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=SHARED)
async def any_theatre(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Bring the same on each store that processes can share, for programs that need their speed."""
    (tmp_path / "store").write_text(empty_store(request.param, request, tmp_path))
    made = Theatre(tmp_path, measured=False)
    yield made
    await made.close()
