"""Lost causes: kept, understood as an incident, and brought back with one careful command, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_ROOT = Path(__file__).parents[2]


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of each kind that processes share."""
    return empty_store(request.param, request, tmp_path)


class Shop:
    """An app whose payment provider is down, until it is not."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.up = False
        #: How often each invoice was charged.
        self.charged = Counter[int]()
        #: So many charges are waited for.
        self.expected = 0
        self.reached = asyncio.Event()
        self.bb = bb = Backburner(url, retry="none")

        @bb.job
        async def charge(invoice: int, provider: str = "old") -> str:
            self.charged[invoice] += 1
            if self.charged.total() == self.expected:
                self.reached.set()
            if not self.up:
                raise ConnectionError("the provider is down")
            return f"paid by {provider}"

        self.charge = charge

    async def lose(self, count: int) -> None:
        """Have so many charges die, in a life of the engine that ends then."""
        async with self.bb as bb:
            handles = await bb.create_tasks([self.charge(number) for number in range(count)])
            await asyncio.gather(*(handle.wait() for handle in handles))
        assert self.charged.total() == count


@asynccontextmanager
async def command(url: str, *args: str) -> AsyncGenerator[Process]:
    """Run the command line in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backburner", *args),
        env={**os.environ, "BACKBURNER_URL": url, "PYTHONPATH": str(_ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _ran(url: str, *args: str) -> tuple[int | None, str, str]:
    async with command(url, *args) as process:
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


async def _begun(process: Process) -> str:
    """Wait until a replay has begun; return its id."""
    assert process.stderr is not None
    async for line in process.stderr:
        if line.startswith(b"replay "):
            return line.decode().split()[1].removesuffix(":")
    raise AssertionError("it ended without a word of the replay")


async def test_an_outage(url: str) -> None:
    """An outage is one cause; its letters go back with one call, and end well."""
    shop = Shop(url)
    await shop.lose(30)
    shop.up = True
    async with shop.bb as bb:
        (cause,) = await bb.dlq.groups()
        assert (cause.count, cause.kinds) == (30, {"charge": 30})
        assert cause.error == "ConnectionError: the provider is down"
        counted = await bb.dlq.survey(fingerprint=cause.fingerprint)
        assert (counted.letters, counted.ends, counted.unknown) == (30, {"failed": 30}, ())
        letters = [letter async for letter in bb.dlq.find(fingerprint=cause.fingerprint)]
        begun = await bb.dlq.replay(fingerprint=cause.fingerprint, pace=None, reason="INC-4711")
        ended = await bb.dlq.replays.carry(begun.id, watch=True)
        handles = [bb.handle(letter.id, shop.charge) for letter in letters]
        assert set(await asyncio.gather(*handles)) == {"paid by old"}
    assert (ended.done, ended.ok, ended.failed, ended.whole) == (30, 30, 0, True)
    assert set(shop.charged.values()) == {2}


async def test_killed_in_the_middle(url: str) -> None:
    """The command is killed in the middle; another carries the replay on, and no letter goes twice."""
    shop = Shop(url)
    await shop.lose(60)
    shop.up = True
    async with command(url, "dlq", "replay", "--all", "--yes", "--rate", "20/s") as process:
        operation = await _begun(process)
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    code, out, _ = await _ran(url, "replays", "list", "--active", "--json")
    seen = json.loads(out)
    assert (code, seen["id"], seen["phase"]) == (0, operation, "rest")
    assert seen["done"] < 60
    async with command(url, "replays", "watch", operation, "--json") as process, shop.bb:
        out_, _ = await process.communicate()
        told = json.loads(out_)
    assert process.returncode == 0
    assert (told["done"], told["kept"], told["missed"]) == (60, 0, 0)
    assert told["first_attempts"] == {"ok": 60, "failed": 0, "awaited": 0}
    assert set(shop.charged.values()) == {2}


async def test_nodes_carry_it_on(url: str) -> None:
    """Ctrl-C leaves a replay to the nodes, and says so."""
    shop = Shop(url)
    await shop.lose(40)
    shop.up, shop.expected = True, 80
    async with command(url, "dlq", "replay", "--all", "--yes", "--rate", "20/s") as process:
        operation = await _begun(process)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert f"nodes carry {operation} on; stop it by: backburner replays stop {operation}" in err.decode()
    async with shop.bb as bb:
        await shop.reached.wait()
        assert (await bb.dlq.replays.get(operation)).done == 40
    assert set(shop.charged.values()) == {2}


async def test_the_provider_is_still_down(url: str) -> None:
    """Of many letters ten go first; when they fail again the rest stays where it is."""
    shop = Shop(url)
    await shop.lose(120)
    async with shop.bb:
        code, out, err = await _ran(url, "dlq", "replay", "--kind", "charge", "--yes", "--rate", "max", "--json")
    told = json.loads(out)
    assert (code, told["active"], told["done"]) == (1, False, 10)
    assert "first attempts failed again; the rest stays dead" in err
    assert shop.charged.total() == 130


async def test_other_arguments(url: str) -> None:
    """A value is set in what is replayed, checked by the signature that the node publishes, without the app's code."""
    shop = Shop(url)
    await shop.lose(3)
    shop.up = True
    async with shop.bb as bb:
        ids = [letter.id async for letter in bb.dlq.find()]
        code, _, err = await _ran(url, "dlq", "replay", "--all", "--yes", "--set", "args.provider=7")
        assert (code, "provider" in err) == (2, True)
        code, _, err = await _ran(url, "dlq", "replay", "--all", "--yes", "--set", "args.povider=7")
        assert (code, "there is no 'povider'" in err) == (2, True)
        code, _, _ = await _ran(url, "dlq", "replay", "--all", "--yes", "--set", 'args.provider="new"', "--watch")
        assert code == 0
        assert set(await asyncio.gather(*(bb.handle(job_id, shop.charge) for job_id in ids))) == {"paid by new"}
