"""Scripts: the time they are handed, and how they are loaded."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.backends.redis import scripts
from backburner.errors import LeaseLost, StoreReadOnly
from backburner.model.clock import SECOND, SystemClock
from tests.unit.redis.conftest import named

if TYPE_CHECKING:
    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import LaunchedRedis, Namespace
    from tests.unit.redis.conftest import Opened


class Skewed(SystemClock):
    """A machine whose clock is ten minutes off."""

    def now(self) -> int:
        return super().now() + 600 * SECOND


async def _now(session: Session) -> int:
    now, _ = await session.scripts.read("queues_list", (session.keys.queues,))
    assert isinstance(now, int)
    return now


async def test_a_test_s_clock_is_handed_over(session: Session, clock: FakeClock) -> None:
    """Where the clock is not the machine's, scripts go by it, to the microsecond."""
    clock.move(0.000001)
    assert await _now(session) == clock.now()


async def test_a_machine_s_own_clock_is_not(opened: Opened, url: str) -> None:
    """However wrong the machine's clock is, scripts go by the server's."""
    skewed = Skewed()
    async with opened(url, clock=skewed) as session:
        assert abs(await _now(session) - SystemClock().now()) < 60 * SECOND


async def test_a_server_that_forgot_its_scripts_is_told_again(session: Session) -> None:
    """A script that the server does not know is loaded, and run, in the same call."""
    keys = session.keys
    for _ in range(2):
        await session.client.call("SCRIPT", "FLUSH")
        await session.scripts.run(
            "queues_set",
            (*keys.logging, keys.queues, keys.leases, keys.meters, keys.filling),
            ("mail", b"x", "", keys.hints, "control", b""),
        )
        assert await session.scripts.read("queues_list", (session.keys.queues,)) == [session.clock.now(), [b"x"]]


async def test_opened_for_reading_no_script_writes(opened: Opened, url: str) -> None:
    """Opened for reading, a script that writes is refused before anything is sent."""
    async with opened(url, write=False) as session:
        with pytest.raises(StoreReadOnly, match="write=True") as refused:
            await session.scripts.run("nodes_abandon", (session.keys.leases,), ("node", "channel", "hint"))
        assert refused.value.stored == "no"


async def test_a_script_says_that_a_lease_is_lost(session: Session) -> None:
    """What a script refuses comes as the typed error, naming the node, and nothing was stored."""
    keys = session.keys
    with pytest.raises(LeaseLost, match="node-7") as lost:
        await session.scripts.run("nodes_beat", (keys.nodes, keys.leases, keys.held, keys.runs), ("node-7", 1))
    assert lost.value.stored == "no"


def test_every_script_is_loaded_without_its_comments() -> None:
    """Helpers stand in front, includes in their place, and comments nowhere."""
    folder = files("backburner.backends.redis.lua")
    names = [file.name.removesuffix(".lua") for file in folder.iterdir() if file.name.endswith(".lua")]
    assert names
    for name in names:
        text, digest = scripts._load(name)
        assert text.startswith(("\nlocal function now()", "local function now()"))
        assert not re.search(r"^\s*--", text, re.MULTILINE)
        assert len(digest) == 40


def test_all_that_scripts_do_is_tried_at_the_start() -> None:
    """No script that writes uses a command that a start has not tried."""

    def commands(text: str) -> set[str]:
        return set(re.findall(r'(?:redis\.call|buffer|get_many)\("([A-Z]+)"', text))

    folder = files("backburner.backends.redis.lua")
    used = {file.name: commands(file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".lua")}
    tried = used["try.lua"] | used["common.lua"]
    reads = {name for name in used if name.startswith(("read_", "nodes_find", "queues_list"))}
    assert {name: missing for name in used.keys() - reads if (missing := used[name] - tried)} == {}


async def test_other_servers_run_the_scripts(opened: Opened, other_redis: LaunchedRedis) -> None:
    """Every other server there is runs the scripts of nodes."""
    with other_redis.namespace() as namespace:
        await _live(opened, namespace)


async def test_a_cluster_runs_the_scripts(opened: Opened, redis_cluster: LaunchedRedis) -> None:
    """A cluster runs them too, wherever the namespace lives."""
    for _ in range(4):
        with redis_cluster.namespace() as namespace:
            await _live(opened, namespace, scheme="redis+cluster")


async def _live(opened: Opened, namespace: Namespace, scheme: str = "redis") -> None:
    url = named(namespace).replace("redis:", f"{scheme}:").replace("/0?", "/?" if scheme == "redis+cluster" else "/0?")
    async with opened(url) as session:
        keys = session.keys
        record = msgspec.msgpack.encode({"id": "node"})
        listed = (*keys.logging, keys.nodes, keys.leases)
        await session.scripts.run("nodes_publish", listed, ("node", record, 10**15, b""))
        beat = await session.scripts.run(
            "nodes_beat", (keys.nodes, keys.leases, keys.held, keys.runs), ("node", 10**15)
        )
        assert beat == [session.clock.now(), b"0"]
        assert await session.scripts.run("nodes_drain", listed, ("node", keys.hints, "control", b"")) == 1
        assert await session.scripts.read("nodes_find", (keys.nodes, keys.leases)) == [b"1" + record, 1]
        assert await session.scripts.read("nodes_lapsed", (keys.leases,)) == 0
        await session.scripts.run("nodes_abandon", (keys.leases,), ("node", keys.hints, "lapse"))
        assert await session.scripts.read("nodes_lapsed", (keys.leases,)) == 1
        await session.scripts.run("nodes_withdraw", (*listed, keys.held), ("node", keys.hints, "lapse", b""))
        assert await session.scripts.read("nodes_find", (keys.nodes, keys.leases)) == []
