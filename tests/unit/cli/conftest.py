"""A small shop's store on SQLite, seen by the command line an hour after it was filled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click
import pytest
from click.testing import CliRunner

from backburner.backends import urls
from backburner.cli import main, render, store
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from backburner.ports.backend import Backend

_NODE = "web-1-4711-ab"
_HOUR = 3600
_TRACEBACK = """Traceback (most recent call last):
  File "shop.py", line 7, in charge
httpx.ReadTimeout: POST /v1/charges"""


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """Runs a command on the shop's store."""

    def __call__(self, *args: str, terminal: bool = False, typed: str | None = None, columns: int = 120) -> Answer: ...


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return where the shop's store will be."""
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture
def shop(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fill the store; the commands' clock stands an hour later."""
    clock = FakeClock()
    asyncio.run(_fill(_backend(url, clock)))
    clock.move(_HOUR)
    monkeypatch.setattr(store, "SystemClock", lambda: clock)
    return url


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command; ``terminal`` makes its output a terminal and its input a person's."""

    def call(*args: str, terminal: bool = False, typed: str | None = None, columns: int = 120) -> Answer:
        with monkeypatch.context() as patch:
            patch.setattr(render, "is_terminal", lambda: terminal)
            patch.setattr(render, "is_interactive", lambda: terminal)
            environ = {"BACKBURNER_URL": url, "COLUMNS": str(columns)}
            result = CliRunner().invoke(main, args, env=environ, input=typed, catch_exceptions=False)
        return Answer(result.exit_code, click.unstyle(result.stdout), result.stderr)

    return call


def _backend(url: str, clock: FakeClock) -> Backend:
    return urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)


async def _fill(backend: Backend) -> None:
    await backend.open(create=True)
    try:
        await backend.schema.upgrade()
        await backend.jobs.enqueue([[_job(0), _job(1), _job(2), _job(3, tags=("vip",)), _job(4, delay=2 * _HOUR)]])
        await backend.nodes.publish(
            NodeRecord(
                id=_NODE,
                host="web-1",
                pid=4711,
                started_at=FakeClock().now(),
                queues={"default": 10},
                kinds=("charge",),
            ),
            ttl=30 * SECOND,
        )
        claims = await backend.jobs.claim(
            ClaimRequest(node=_NODE, queues={"default": 10}, limit=3, kinds=frozenset({"charge", "mail"}))
        )
        tokens = {claim.id: claim.token for claim in claims.claims}
        await backend.jobs.settle(
            _NODE,
            [
                Settlement(id=_id(0), token=tokens[_id(0)], state=JobState.COMPLETED, result='"ok"'),
                Settlement(
                    id=_id(1),
                    token=tokens[_id(1)],
                    state=JobState.DEAD,
                    reason="exhausted",
                    failed=1,
                    ending=Ending.FAILED,
                    error="httpx.ReadTimeout",
                    message="POST\t[/v1/charges]\nno answer",
                    traceback=_TRACEBACK,
                    fingerprint="9f3a1c77b0de",
                ),
                Settlement(
                    id=_id(2),
                    token=tokens[_id(2)],
                    state=JobState.PENDING,
                    delay=2 * _HOUR * SECOND,
                    failed=1,
                    ending=Ending.FAILED,
                    error="ValueError",
                    message="no",
                    fingerprint="77b0de9f3a1c",
                ),
            ],
        )
    finally:
        await backend.close()


def _id(number: int) -> str:
    return f"01jd{number}"


def _job(number: int, *, delay: int = 0, tags: tuple[str, ...] = ()) -> NewJob:
    args = f'{{"user":{{"id":{number}}},"note":"a\\tb"}}'
    kind = "charge" if number % 2 else "mail"
    return NewJob(id=_id(number), kind=kind, queue="default", args=args, delay=delay * SECOND, tags=tags)
