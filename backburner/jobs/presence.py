"""One node among others: entered in the store, kept alive there, back under a new id after a lost lease, struck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import StoreError
from backburner.jobs.keeper import BEATS, LeaseKeeper
from backburner.jobs.loop import Loop
from backburner.model.clock import SECOND
from backburner.model.job import DEFAULT_QUEUE
from backburner.model.node import NodeRecord
from backburner.model.telling import tell
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.jobs.registry import Kinds
    from backburner.ports.backend import Backend
    from backburner.ports.nodes import Beat

__all__ = ["Presence"]


class Presence:
    """Publishes the node and what changes of it, and has a keeper beat for it: a new one under each new id.

    ``schedules`` answers the names of those that its code declares; ``beaten`` hears of each beat, ``fell`` that the lease is lost, so that what runs has to end, and ``returned`` that
    the node may work again, and which ids it had meanwhile. Durations are in microseconds.
    """

    def __init__(
        self,
        backend: Backend,
        kinds: Kinds,
        *,
        schedules: Callable[[], tuple[str, ...]],
        node: Identity,
        queues: Mapping[str, int],
        lease: int,
        stall_limit: int,
        running: Callable[[], Mapping[str, int]],
        held: Callable[[], Iterable[tuple[str, int]]],
        beaten: Callable[[Mapping[str, int], Beat], None],
        fell: Callable[[], None],
        returned: Callable[[Sequence[str]], None],
        kit: Kit,
    ) -> None:
        self._backend = backend
        self._kinds = kinds
        self._schedules = schedules
        self._node = node
        self._queues = dict(queues)
        self._lease = lease
        self._stall_limit = stall_limit / SECOND
        self._running = running
        self._held = held
        self._beaten = beaten
        self._fell = fell
        self._returned = returned
        self._kit = kit
        self._started_at = kit.clock.now()
        #: The ids whose leases were lost, since it last worked.
        self._fallen: list[str] = []
        self._draining = False
        self._keeper = self._new_keeper()
        # What this node held is others' to judge once they have beaten for a lease: it is to be back by then.
        self._loop = Loop("presence", self._step, kit=kit, longest=lease / SECOND / BEATS)

    async def start(self) -> None:
        """Enter the node, and begin to beat for it."""
        began = self._kit.clock.monotonic()
        await self._publish()
        self._kinds.changed.add(self._loop.wake)
        self._loop.start()
        self._keeper.start(began)

    def drain(self) -> None:
        """Show that this node takes no more work, so that whoever looks at the nodes sees it."""
        self._draining = True
        self._loop.wake()

    def changed(self) -> None:
        """Publish the node anew: what its code declares has changed."""
        self._loop.wake()

    def hurry(self) -> None:
        """Beat soon."""
        self._keeper.hurry()

    @property
    def lost(self) -> bool:
        """Whether the lease is lost, and the node not back yet."""
        return self._keeper.lost

    @property
    def away(self) -> bool:
        """Whether the last beat could not reach the store, or the lease is lost."""
        return self._keeper.lost or self._keeper.away

    @property
    def keeper(self) -> LeaseKeeper:
        """Who beats for the node now."""
        return self._keeper

    @property
    def beaten_at(self) -> float | None:
        """When the last beat that succeeded began, on the clock's monotonic time."""
        return self._keeper.beaten_at

    @property
    def novitiate(self) -> float:
        """Seconds until this node may take over what others ran."""
        return self._keeper.novitiate

    async def settle_down(self) -> None:
        """Change nothing any more, and come back no more; the beat goes on."""
        self._kinds.changed.discard(self._loop.wake)
        await self._loop.stop()

    async def stop(self) -> None:
        """End the beat; the lease stays as it is."""
        await self._keeper.stop()

    async def withdraw(self) -> None:
        """Leave the list; a node that cannot, or that still holds claims, is found dead there and tidied up."""
        try:
            await self._backend.nodes.withdraw(self._node.id, (tell("node.left", self._node.id, host=self._node.host),))
        except StoreError as error:
            self._kit.listener(Signal.STORE_WAITING, error=error, loop="presence", failures=1)

    async def _step(self) -> None:
        """Publish what changed; after a lost lease, a new node."""
        if self._keeper.lost:
            await self._come_back()
        else:
            await self._publish()
        if self._draining and not self._keeper.lost:
            # A new id starts without it.
            await self._backend.nodes.drain(self._node.id)

    async def _come_back(self) -> None:
        await self._keeper.stop()
        if self._node.id in self._fallen:
            # Once only: a try whose answer was lost may have entered the new id, which must not be left there.
            self._node.renew(self._held() if self._backend.timed_leases else ())
        began = self._kit.clock.monotonic()
        await self._publish()
        self._keeper = self._new_keeper()
        self._keeper.start(began)
        if not self._keeper.lost:  # else the answer took as long as the lease: once more
            fallen, self._fallen = self._fallen, []
            self._kit.listener(Signal.NODE_RETURNED, node=self._node.id, before=fallen[-1])
            self._returned(fallen)

    async def _publish(self) -> None:
        record = NodeRecord(
            id=self._node.id,
            host=self._node.host,
            pid=self._node.pid,
            started_at=self._started_at,
            queues=self._queues,
            kinds=tuple(sorted(self._kinds.names)),
            kind_queues={
                name: definition.options.queue
                for name, definition in self._kinds.definitions.items()
                if definition.options.queue != DEFAULT_QUEUE
            },
            schedules=self._schedules(),
            signatures={name: definition.signature.schema for name, definition in self._kinds.definitions.items()},
        )
        joined = tell("node.joined", record.id, host=record.host, pid=record.pid, queues=record.queues)
        await self._backend.nodes.publish(record, self._lease, (joined,))

    def _new_keeper(self) -> LeaseKeeper:
        return LeaseKeeper(
            self._backend,
            node=self._node,
            lease=self._lease,
            stall_limit=self._stall_limit,
            running=self._running,
            beaten=self._beaten,
            fell=self._lose,
            kit=self._kit,
        )

    def _lose(self, why: Signal) -> None:
        self._kit.listener(why, node=self._node.id, runs=len(self._running()))
        self._fallen.append(self._node.id)
        self._fell()
        self._loop.wake()
