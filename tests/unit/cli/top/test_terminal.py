"""`backburner top` in a terminal: what is shown, what is typed, and how the terminal is left."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.model.clock import SECOND, SystemClock
from backburner.model.job import Ending, JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from tests.unit.cli.top.screen import ALTERNATE, CURSOR, SHELL, Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.cli.conftest import Run

_NODE = "web-1-1-a"


@pytest.fixture
def store(url: str) -> str:
    """Make a store with a job that has just become a dead letter."""

    async def fill() -> None:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=SystemClock(), write_timeout=5)
        await backend.open(create=True)
        try:
            await backend.schema.upgrade()
            await backend.jobs.enqueue([[NewJob(id="01jd1", kind="charge", queue="default", args="{}")]])
            now = SystemClock().now()
            node = NodeRecord(id=_NODE, host="web-1", pid=1, started_at=now, queues={"default": 4}, kinds=("charge",))
            await backend.nodes.publish(node, ttl=30 * SECOND)
            asked = ClaimRequest(node=_NODE, queues={"default": 4}, limit=1, kinds=frozenset({"charge"}))
            (claim,) = (await backend.jobs.claim(asked)).claims
            ended = Settlement(
                id=claim.id,
                token=claim.token,
                state=JobState.DEAD,
                ending=Ending.FAILED,
                failed=1,
                error="httpx.ReadTimeout",
                message="POST /v1/charges",
                fingerprint="9f3a1c",
            )
            await backend.jobs.settle(_NODE, [ended])
            await backend.nodes.withdraw(_NODE)
        finally:
            await backend.close()

    asyncio.run(fill())
    return url


@pytest.fixture
def top(store: str) -> Iterator[Screen]:
    """Open it on that store, and wait until that is shown."""
    with Screen("-m", "backburner", "top", "--every", "500ms", "--by", "ada", BACKBURNER_URL=store) as screen:
        screen.until(ALTERNATE)
        screen.until("1 finding")
        yield screen


def _is_left_as_found(screen: Screen, shown: bytes) -> bool:
    return screen.settings == screen.before and SHELL in shown and CURSOR in shown


def test_it_shows_the_store_and_goes(top: Screen) -> None:
    """Queues, what runs and what failed are there; q leaves the terminal as it was."""
    top.until("queues (1)")
    top.until("running (0)")
    top.until("failures (1)")
    top.until("POST /v1/charges")
    top.type("q")
    code, shown = top.end()
    assert code == 0
    assert _is_left_as_found(top, shown)


def test_it_pauses_a_queue(top: Screen, run: Run) -> None:
    """What is done there is done as by the command: with who, and why, and kept in the audit."""
    top.type("p")
    top.until("pause queue default on all nodes?")
    top.type("INC-7\r")
    top.until("queue default is paused")
    top.until("paused")
    top.type("p")
    top.until("resume queue default?")
    top.type("\x1b")
    top.until("nothing was resumed")
    top.type("q")
    assert top.end()[0] == 0
    assert run("queues", "list").out.split("\t")[8:] == ["ada", "INC-7\n"]
    assert '{"by":"ada","reason":"INC-7"}' in run("events", "list", "--name", "operator.queue.paused").out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_is_ended(top: Screen, number: signal.Signals, code: int) -> None:
    """Ctrl-C, SIGTERM and SIGHUP leave the terminal as it was, too."""
    if number is signal.SIGINT:
        top.type("\x03")
    else:
        top.process.send_signal(number)
    ended, shown = top.end()
    assert ended == code
    assert _is_left_as_found(top, shown)
    assert b"Traceback" not in shown


def test_its_terminal_goes_away(top: Screen) -> None:
    """Once its terminal is closed it ends, and finds nothing wrong with that, whether it is told so or reads it first."""
    top.hang_up()
    assert top.process.wait() in {0, 129}


def test_it_is_suspended(top: Screen) -> None:
    """Ctrl-Z gives the shell its screen and settings, and what comes after goes on where it was."""
    running = top.settings
    top.type("\x1a")
    top.until(SHELL)
    assert top.stopped() == signal.SIGSTOP
    assert top.settings == top.before
    top.go_on()
    top.until(ALTERNATE)
    top.until("1 finding")
    assert top.settings == running
    top.type("q")
    assert top.end()[0] == 0


def test_another_size(top: Screen) -> None:
    """A terminal that gets too small is told so, and shows all again when it has room."""
    top.resize(30, 5)
    top.until("30x5 is too small")
    top.resize(90, 20)
    top.until("failures")
    top.type("q")
    assert top.end()[0] == 0


def test_an_error_of_its_own() -> None:
    """Whatever is raised while the terminal is taken, it is given back first; the error is not lost."""
    program = """
import asyncio
from backburner.cli.top.terminal import Terminal
async def fail():
    with Terminal(typed=print, resized=print, ended=print):
        raise ZeroDivisionError("mine")
asyncio.run(fail())
"""
    with Screen("-c", program) as screen:
        screen.until(ALTERNATE)
        code, shown = screen.end()
        assert code == 1
        assert shown.index(SHELL) < shown.index(b"ZeroDivisionError: mine")
        assert _is_left_as_found(screen, shown)


def test_no_store(url: str) -> None:
    """Where there is no store it ends with 4, as every command, and the screen was never taken."""
    with Screen("-m", "backburner", "top", BACKBURNER_URL=url) as screen:
        code, shown = screen.end()
        assert (code, ALTERNATE in shown) == (4, False)
        assert b"no store" in shown.lower()


def test_no_terminal(run: Run) -> None:
    """In a pipe, or on a terminal that can do nothing, it refuses, and names the command that tells of the moment."""
    answer = run("top")
    assert (answer.code, answer.out) == (2, "")
    assert "`backburner status` tells the same" in answer.err
    with Screen("-m", "backburner", "top", TERM="dumb") as screen:
        assert screen.end()[0] == 2


def test_too_often(run: Run) -> None:
    """What would only load the store is refused."""
    answer = run("top", "--every", "1ms")
    assert answer.code == 2
    assert "500ms is the least" in answer.err
