"""Process jobs of real programs: found wherever they are declared, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.chaos.conftest import Theatre

PROGRAM = "tests/chaos/programs/process_main.py"


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def gone(pids: list[int]) -> None:
    """Wait until processes that are nobody's children here have died."""
    async with asyncio.timeout(PATIENCE):
        while any(map(lives, pids)):
            turn = asyncio.Event()
            asyncio.get_running_loop().call_later(0.005, turn.set)
            await turn.wait()


async def test_nothing_outlives_a_killed_engine(theatre: Theatre) -> None:
    """Killed with -9, an engine takes along its child, which is in an endless loop, and what that started and forked."""
    program = await theatre.start("-m", "tests.chaos.programs.process_parent", str(theatre.folder))
    await program.says("ready")
    pids = [int(pid) for pid in (theatre.folder / "pids").read_text().split()]
    assert all(map(lives, pids))
    program.kill()
    assert await program.process.wait() == -signal.SIGKILL
    try:
        await gone(pids)
    finally:
        for pid in filter(lives, pids):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("arguments", [(PROGRAM,), ("-m", "tests.chaos.programs.process_main")])
async def test_a_program_declares_its_own(theatre: Theatre, arguments: tuple[str, ...]) -> None:
    """A job of `__main__` is found, with its types, its errors and the rules for them; the program is not run again."""
    program = await theatre.start(*arguments, "1", PYTHONPATH=".")
    await program.says("3")
    assert (await program.ended())[0] == 0
    program = await theatre.start(*arguments, "-1", PYTHONPATH=".")
    assert program.process.stdout is not None
    said = (await program.process.stdout.readline()).decode()
    assert said.startswith("rejected: __main__.Mine")
    assert (await program.ended())[0] == 0


async def test_a_program_without_its_guard(theatre: Theatre) -> None:
    """Imported in a child, it would start an engine there: that is refused, and the run fails saying what to write."""
    program = await theatre.start(PROGRAM, "1", "unguarded", PYTHONPATH=".")
    assert program.process.stdout is not None
    said = (await program.process.stdout.readline()).decode()
    assert "write what starts it under `if __name__" in said, said
    await program.ended()
