"""Events of what happens while the store is away: written once it is back, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner.errors import StoreUnavailable
from backburner.model.ids import Ids
from backburner.model.telling import tell
from backburner.observability.alerts.untold import Untold
from backburner.ports.events import Appended
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent


class Store:
    """An `EventStore` that may be away, and may lose its answers."""

    def __init__(self) -> None:
        self.away = self.mute = False
        self.stored: dict[str | None, str] = {}
        self.writes = 0

    async def append(self, events: Sequence[NewEvent]) -> Appended:
        if self.away:
            raise StoreUnavailable("away", stored="no")
        self.writes += 1
        before = len(self.stored)
        self.stored |= {event.id: event.subject for event in events if event.id not in self.stored}
        if self.mute:
            raise StoreUnavailable("no answer")
        return Appended(0, len(self.stored) - before)


class Stage:
    """What tells, the store, and what is called."""

    def __init__(self) -> None:
        self.store = Store()
        self.woken = self.told = 0
        self.untold = Untold(cast("Any", self.store), Ids(FakeClock()), wake=self._wake, told=self._tell)

    def _wake(self) -> None:
        self.woken += 1

    def _tell(self) -> None:
        self.told += 1

    def lose(self, name: str) -> None:
        self.untold.tell(tell("lock.lost", name, node="n"))


async def test_nothing_to_tell_is_no_write() -> None:
    """The store is not asked."""
    stage = Stage()
    await stage.untold.step()
    assert stage.store.writes == 0


async def test_what_could_not_be_written_is_written_later_and_once() -> None:
    """Whether the store was away, or took it and lost the answer."""
    stage = Stage()
    stage.lose("a")
    stage.store.away = True
    with pytest.raises(StoreUnavailable):
        await stage.untold.step()
    stage.lose("b")
    stage.store.away, stage.store.mute = False, True
    with pytest.raises(StoreUnavailable):
        await stage.untold.step()
    stage.store.mute = False
    stage.lose("c")
    await stage.untold.step()
    await stage.untold.step()
    assert [*stage.store.stored.values()] == ["a", "b", "c"]
    assert (stage.woken, stage.told, stage.store.writes) == (3, 1, 2)


async def test_of_very_many_the_last_are_kept() -> None:
    """What is kept is bounded: the log has them all."""
    stage = Stage()
    for number in range(1_005):
        stage.lose(str(number))
    await stage.untold.step()
    assert [*stage.store.stored.values()][::999] == ["5", "1004"]
