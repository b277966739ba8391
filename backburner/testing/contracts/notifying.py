"""What `Notifier` promises."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import pytest

from backburner.ports.backend import Hint
from backburner.testing.contracts.making import add, new, publish

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["NotifierContract"]

#: Seconds after which a listener that has heard nothing will not.
PATIENCE = 10
STEP = 0.05


class _Ear:
    """Hears, and lets a test wait for a hint."""

    def __init__(self, harness: Harness, backend: Backend) -> None:
        self.hints: list[Hint] = []
        self._clock = harness.clock
        self._heard = anyio.Event()
        self.end = backend.notifier.listen(self._hear)

    def _hear(self, hint: Hint) -> None:
        self.hints.append(hint)
        self._heard.set()

    async def wait_for(self, hint: Hint) -> None:
        """Wait until the hint was heard; a store may look for it by the fake clock or by the real one."""
        with anyio.fail_after(PATIENCE):
            while hint not in self.hints:
                self._heard = anyio.Event()
                with anyio.move_on_after(STEP):
                    await self._heard.wait()
                await self._clock.advance(STEP)


@pytest.mark.anyio
class NotifierContract:
    """Hints reach whoever listens; nothing depends on them."""

    @pytest.mark.parametrize("hint", [*Hint])
    async def test_a_hint_is_heard(self, harness: Harness, hint: Hint) -> None:
        """Every listener of the notifying backend hears a hint as the hint it was."""
        ears = [_Ear(harness, harness.backend) for _ in range(2)]
        await harness.backend.notifier.notify(hint)
        for ear in ears:
            await ear.wait_for(hint)

    @pytest.mark.parametrize("hint", [Hint.JOBS, Hint.CONTROL])
    async def test_a_hint_is_heard_elsewhere(self, harness: Harness, hint: Hint) -> None:
        """A hint is heard on other connections, also one that no change goes with."""
        ear = _Ear(harness, await harness.second())
        await add(harness.backend)
        await harness.backend.notifier.notify(hint)
        await ear.wait_for(hint)
        ear.hints.clear()
        await harness.backend.notifier.notify(hint)
        await ear.wait_for(hint)

    async def test_a_death_is_heard_of(self, harness: Harness) -> None:
        """That a node died is heard on other connections, though the dead notify nobody."""
        await publish(harness.backend)
        ear = _Ear(harness, await harness.second())
        await harness.die("node")
        await ear.wait_for(Hint.LAPSE)

    async def test_a_change_nobody_notified_of_is_heard(self, harness: Harness) -> None:
        """A change that another node made is heard, though nobody notified of it, and so is the next one."""
        ear = _Ear(harness, await harness.second())
        for _ in range(2):
            await add(harness.backend)
            await ear.wait_for(Hint.JOBS)
            ear.hints.clear()

    async def test_a_caller_s_commit_is_heard(self, harness: Harness) -> None:
        """What came by a caller's own transaction is heard of once that commits, though nobody notified of it."""
        transaction = harness.transaction()
        if transaction is None:
            pytest.skip("this store joins no transaction")
        ears = [_Ear(harness, backend) for backend in (harness.backend, await harness.second())]
        async with transaction as tx:
            await harness.backend.jobs.enqueue([[new()]], tx=tx)
        for ear in ears:
            await ear.wait_for(Hint.JOBS)

    async def test_hints_are_heard_on_the_listening_loop(self, harness: Harness) -> None:
        """A hint is heard in the thread of the loop that listens."""
        threads: list[int] = []
        harness.backend.notifier.listen(lambda _: threads.append(threading.get_ident()))
        ear = _Ear(harness, harness.backend)
        await harness.backend.notifier.notify(Hint.CONTROL)
        await ear.wait_for(Hint.CONTROL)
        assert set(threads) == {threading.get_ident()}

    async def test_nobody_listens(self, harness: Harness) -> None:
        """A hint that nobody listens for is fine, and keeps nothing from being heard later."""
        for hint in Hint:
            await harness.backend.notifier.notify(hint)
        ear = _Ear(harness, harness.backend)
        await harness.backend.notifier.notify(Hint.JOBS)
        await ear.wait_for(Hint.JOBS)

    async def test_the_end_of_listening(self, harness: Harness) -> None:
        """After its end a listener hears nothing; ending twice is fine."""
        gone, stayed = _Ear(harness, harness.backend), _Ear(harness, harness.backend)
        gone.end()
        gone.end()
        await harness.backend.notifier.notify(Hint.JOBS)
        await stayed.wait_for(Hint.JOBS)
        assert gone.hints == []
