"""What `Notifier` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.ports.backend import Hint
from backburner.testing.contracts.making import add
from backburner.testing.harness import Harness  # noqa: TC001 - fixtures are looked up at run time

if TYPE_CHECKING:
    from backburner.ports.backend import Backend

__all__ = ["NotifierContract"]

#: Far beyond how often a store looks for changes: a listener that has heard nothing by then will not.
PATIENCE = 200
STEP = 0.05


async def _let_pass(harness: Harness, backend: Backend, heard: list[Hint]) -> None:
    """Let time pass and the store's threads work, until something was heard or enough has passed."""
    for _ in range(PATIENCE):
        if heard:
            return
        await harness.clock.advance(STEP)
        await backend.reader.get(["nobody"])


@pytest.mark.anyio
class NotifierContract:
    """Hints reach whoever listens; nothing depends on them."""

    @pytest.mark.parametrize("hint", [*Hint])
    async def test_a_hint_is_heard(self, harness: Harness, hint: Hint) -> None:
        """A hint is heard by the listeners of the same backend, as the hint it was."""
        heard: list[Hint] = []
        harness.backend.notifier.listen(heard.append)
        await harness.backend.notifier.notify(hint)
        await _let_pass(harness, harness.backend, heard)
        assert hint in heard

    async def test_every_listener_hears(self, harness: Harness) -> None:
        """Every listener hears a hint."""
        first: list[Hint] = []
        second: list[Hint] = []
        harness.backend.notifier.listen(first.append)
        harness.backend.notifier.listen(second.append)
        await harness.backend.notifier.notify(Hint.CONTROL)
        await _let_pass(harness, harness.backend, first)
        await _let_pass(harness, harness.backend, second)
        assert Hint.CONTROL in first
        assert Hint.CONTROL in second

    async def test_other_nodes_hear_of_changes(self, harness: Harness) -> None:
        """A change that another node made is heard, whether it was notified of or not."""
        heard: list[Hint] = []
        second = await harness.second()
        second.notifier.listen(heard.append)
        await add(harness.backend)
        await _let_pass(harness, second, heard)
        assert Hint.JOBS in heard
        heard.clear()
        await add(harness.backend)
        await harness.backend.notifier.notify(Hint.JOBS)
        await _let_pass(harness, second, heard)
        assert Hint.JOBS in heard

    async def test_nobody_listens(self, harness: Harness) -> None:
        """A hint that nobody listens for is fine."""
        for hint in Hint:
            await harness.backend.notifier.notify(hint)

    async def test_the_end_of_listening(self, harness: Harness) -> None:
        """After its end a listener hears nothing; ending twice is fine."""
        gone: list[Hint] = []
        stayed: list[Hint] = []
        end = harness.backend.notifier.listen(gone.append)
        harness.backend.notifier.listen(stayed.append)
        end()
        end()
        await harness.backend.notifier.notify(Hint.JOBS)
        await _let_pass(harness, harness.backend, stayed)
        assert stayed
        assert gone == []
