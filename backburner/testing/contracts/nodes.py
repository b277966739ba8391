"""What `NodeStore` and `Keeper` promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.errors import LeaseLost
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.node import NodeRecord
from backburner.ports.nodes import Held
from backburner.testing.contracts.making import (
    LEASE,
    add,
    add_claimed,
    add_each,
    claim,
    held,
    ids,
    new,
    publish,
    read,
    recover,
    settle,
)

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["NodeContract"]


@pytest.mark.anyio
class NodeContract:
    """Who is published, who is alive, and what each holds."""

    async def test_a_published_node_is_found_alive(self, harness: Harness) -> None:
        """A node is found as it was published, alive, on every connection."""
        node = NodeRecord(
            id="höst-7-abc",
            host="höst",
            pid=7,
            started_at=2**53 + 1,
            queues={"default": 10, "ümail": 1},
            kinds=("a", "b"),
            signatures={"a": '{"type":"object"}', "b": '{"description":"ü \N{SNOWMAN}"}'},
            kind_queues={"täglich": "nachts"},
            schedules=("täglich 🙂", "a", "b/c"),
        )
        await harness.backend.nodes.publish(node, LEASE)
        assert await harness.backend.nodes.find() == (node,)
        assert await (await harness.second()).nodes.find() == (node,)

    async def test_nodes_are_found_by_id(self, harness: Harness) -> None:
        """Nodes are found in the order of their ids."""
        for node in ("b", "c", "a"):
            await publish(harness.backend, node)
        assert [node.id for node in await harness.backend.nodes.find()] == ["a", "b", "c"]

    async def test_published_again_its_queues_and_kinds_change(self, harness: Harness) -> None:
        """Entered again, a node's queues, kinds, signatures and schedules change, and it keeps its claims."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        (node,) = await harness.backend.nodes.find()
        changed = msgspec.structs.replace(
            node,
            queues={"mail": 2},
            kinds=("send",),
            signatures={"send": "{}"},
            kind_queues={"send": "mail"},
            schedules=("nightly", "daily"),
        )
        for published in (changed, msgspec.structs.replace(changed, schedules=())):
            await harness.backend.nodes.publish(published, LEASE)
            assert await harness.backend.nodes.find() == (published,)
        assert await held(harness.backend) == {claimed.id: claimed.token}

    async def test_a_withdrawn_node_is_gone(self, harness: Harness) -> None:
        """A withdrawn node is found no more; withdrawing one that is not there is fine."""
        await publish(harness.backend)
        await publish(harness.backend, "other")
        await harness.backend.nodes.withdraw("node")
        await harness.backend.nodes.withdraw("node")
        assert [node.id for node in await harness.backend.nodes.find()] == ["other"]

    async def test_a_dead_node_is_found_dead(self, harness: Harness) -> None:
        """A dead node is found as not alive, on every connection, while the others live."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(second, "other")
        await harness.die("node")
        for backend in (harness.backend, second):
            found = {node.id: node.alive for node in await backend.nodes.find()}
            assert found == {"node": False, "other": True}

    async def test_the_dead_stay_until_their_claims_are_recovered(self, harness: Harness) -> None:
        """A dead node is found as long as claims of it are to be recovered, and no longer."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        await add_each(harness.backend, [new(), new()])
        await claim(harness.backend)
        await harness.die("node")
        await recover(harness.backend, "rescuer", limit=1)
        assert [node.id for node in await harness.backend.nodes.find()] == ["node", "rescuer"]
        await recover(harness.backend, "rescuer")
        await recover(harness.backend, "rescuer")
        assert [node.id for node in await harness.backend.nodes.find()] == ["rescuer"]

    async def test_the_idle_dead_are_struck(self, harness: Harness) -> None:
        """A dead node that held nothing is gone after the next recovery."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        await harness.die("node")
        await recover(harness.backend, "rescuer")
        assert [node.id for node in await harness.backend.nodes.find()] == ["rescuer"]

    async def test_a_beat_answers_what_the_node_holds(self, harness: Harness) -> None:
        """A beat answers everything the node runs, with tokens and wishes to cancel, and nothing of other nodes."""
        await publish(harness.backend)
        await publish(harness.backend, "other")
        await add_claimed(harness.backend, "other")
        first, second = await add_claimed(harness.backend), await add_claimed(harness.backend)
        done = await add_claimed(harness.backend)
        await settle(harness.backend, done)
        await harness.backend.admin.cancel([second.id])
        async with harness.backend.keeper() as keeper:
            beat = await keeper.beat("node", LEASE)
        assert beat.now == harness.clock.now()
        assert sorted(beat.claims, key=lambda found: found.id) == [
            Held(first.id, first.token, cancel=False),
            Held(second.id, second.token, cancel=True),
        ]

    async def test_beats_keep_a_node_alive(self, harness: Harness) -> None:
        """A node that beats outlives the lease it was published with."""
        await publish(harness.backend, ttl=30 * SECOND)
        async with harness.backend.keeper() as keeper:
            for _ in range(6):
                harness.clock.move(20)
                await keeper.beat("node", 30 * SECOND)
        job = await add(harness.backend)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_the_lease_outlives_its_keeper(self, harness: Harness) -> None:
        """Closing a keeper does not end the lease."""
        await publish(harness.backend)
        async with harness.backend.keeper() as keeper:
            await keeper.beat("node", LEASE)
        claimed = await add_claimed(harness.backend)
        await publish(harness.backend, "rescuer")
        assert (await recover(harness.backend, "rescuer")).jobs == ()
        assert await held(harness.backend) == {claimed.id: claimed.token}

    async def test_no_beat_without_a_lease(self, harness: Harness) -> None:
        """`LeaseLost` is raised to a node that died, was withdrawn or was never published, and it stays dead."""
        await publish(harness.backend, "dead")
        await harness.die("dead")
        await publish(harness.backend, "gone")
        await harness.backend.nodes.withdraw("gone")
        async with harness.backend.keeper() as keeper:
            for node in ("dead", "gone", "stranger"):
                with pytest.raises(LeaseLost):
                    await keeper.beat(node, LEASE)
        assert not any(node.alive for node in await harness.backend.nodes.find())

    async def test_abandoned_at_once(self, harness: Harness) -> None:
        """A lease that was let go is over at once: the node claims nothing more, and its claims are recovered."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        await add(harness.backend)
        async with harness.backend.keeper() as keeper:
            await keeper.abandon("node")
            with pytest.raises(LeaseLost):
                await keeper.beat("node", LEASE)
        with pytest.raises(LeaseLost):
            await claim(harness.backend)
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        assert found.claim.id == claimed.id

    async def test_a_node_is_asked_to_drain(self, harness: Harness) -> None:
        """A node asked to drain, from whichever connection, hears it at its next beats and is listed so."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(harness.backend, "other")
        async with harness.backend.keeper() as keeper:
            assert not (await keeper.beat("node", LEASE)).drain
            assert await second.nodes.drain("node")
            for _ in range(2):
                assert (await keeper.beat("node", LEASE)).drain
            assert not (await keeper.beat("other", LEASE)).drain
        found = {node.id: node.draining for node in await harness.backend.nodes.find()}
        assert found == {"node": True, "other": False}
        assert await harness.backend.nodes.drain("node")

    async def test_nobody_is_asked_to_drain(self, harness: Harness) -> None:
        """Asking a node that is dead, withdrawn or was never published is answered by no."""
        await publish(harness.backend, "dead")
        await harness.die("dead")
        await publish(harness.backend, "gone")
        await harness.backend.nodes.withdraw("gone")
        for node in ("dead", "gone", "stranger"):
            assert not await harness.backend.nodes.drain(node)
        assert not any(node.draining for node in await harness.backend.nodes.find())

    async def test_published_again_it_still_drains(self, harness: Harness) -> None:
        """Entered again, whatever it says of itself, a node that was asked to drain stays so; a new one does not."""
        await publish(harness.backend)
        await harness.backend.nodes.drain("node")
        (node,) = await harness.backend.nodes.find()
        await harness.backend.nodes.publish(msgspec.structs.replace(node, draining=False), LEASE)
        (again,) = await harness.backend.nodes.find()
        assert again == node
        await harness.backend.nodes.withdraw("node")
        await publish(harness.backend)
        (new_one,) = await harness.backend.nodes.find()
        assert not new_one.draining

    async def test_a_draining_node_may_still_settle_and_claim(self, harness: Harness) -> None:
        """Draining is the node's own affair: the store still hands out what it asks for."""
        await publish(harness.backend)
        await harness.backend.nodes.drain("node")
        await settle(harness.backend, await add_claimed(harness.backend))

    async def test_two_nodes_of_one_backend(self, harness: Harness) -> None:
        """Two engines may live on one backend: the death of one does nothing to the other."""
        await publish(harness.backend)
        await publish(harness.backend, "other")
        claimed = await add_claimed(harness.backend)
        await harness.die("other")
        assert await held(harness.backend) == {claimed.id: claimed.token}
        assert (await read(harness.backend, claimed.id)).state is JobState.RUNNING

    async def test_a_new_node_after_death(self, harness: Harness) -> None:
        """After its death a node is published under a new id and claims again."""
        await publish(harness.backend)
        await harness.die("node")
        await publish(harness.backend, "reborn")
        job = await add(harness.backend)
        assert ids(await claim(harness.backend, "reborn")) == [job.id]
