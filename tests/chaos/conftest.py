"""Real processes on one file."""

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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
#: Seconds within which anything must have happened, on a machine that does much else besides.
PATIENCE = 30.0


class Program:
    """A child process that a test talks to by lines."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self._folder = folder

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
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()

    async def stop(self) -> None:
        """End its input, and wait until it has ended well."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status, errors = await self.ended()
        assert status == 0, errors

    def kill(self) -> None:
        """Kill it with -9."""
        write(self._folder, "kill", killed=self.pid)
        self.process.kill()


class Theatre:
    """Starts programs, and leaves none behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs: list[Program] = []

    async def start(self, *arguments: str, **environment: str) -> Program:
        """Start a Python program."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        program = Program(process, self.folder)
        self._programs.append(program)
        return program

    async def node(self) -> Program:
        """Start a worker and wait until it is ready."""
        program = await self.start("-m", "tests.chaos.programs.node", str(self.folder))
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
async def theatre(tmp_path: Path) -> AsyncIterator[Theatre]:
    """Bring a folder for a store and a history, and programs on them."""
    made = Theatre(tmp_path)
    yield made
    await made.close()
