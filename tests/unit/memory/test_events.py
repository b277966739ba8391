"""Where events stand in memory, and that they cost nothing where nobody asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.backends.memory import MemoryBackend, admin, claiming, eventlog, inserting, letters, pruning, settling
from backburner.backends.memory.eventlog import TOLD, EventLog
from backburner.model.catalogue import BUILT_IN
from backburner.model.clock import SECOND
from backburner.model.event import EventRecord
from backburner.model.job import JobState
from backburner.ports.jobs import Keep
from backburner.testing.clock import FakeClock
from backburner.testing.contracts.making import add, dead, ended, publish
from backburner.testing.contracts.telling import kept, listening, subscribe

pytestmark = pytest.mark.anyio


@given(steps=st.lists(st.tuples(st.sampled_from(["write", "write", "write", "prune"]), st.integers(0, 4)), max_size=40))
def test_windows(steps: list[tuple[str, int]]) -> None:
    """Whatever is written and pruned, above and below every number stand those that are there, as far as is looked."""
    log, plain = EventLog(), list[EventRecord]()
    number = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eventlog, "LOOKED_AT", 3)
        for moment, (step, amount) in enumerate(steps):
            if step == "write":
                number += 1
                log.write("a", "s", "{}", moment)
                plain.append(EventRecord(number=number, id=None, name="a", subject="s", time=moment, data="{}"))
            else:
                gone = [event for event in plain if event.time <= moment - amount][:2]
                assert log.prune(moment - amount, 2) == len(gone)
                del plain[: len(gone)]
            assert log.last == number
            assert log.pruned == number - len(plain)
            for at in range(number + 2):
                found, upto = log.above(at)
                assert found == [event for event in plain if event.number > at][:3]
                assert upto == (found[-1].number if found else max(at, log.pruned))
                found, upto = log.below(at)
                assert found == [event for event in reversed(plain) if event.number < at][:3]
                assert upto == (found[-1].number if found else log.pruned + 1)
            assert log.below(None)[0] == plain[::-1][:3]


def test_what_is_asked_for() -> None:
    """A log knows at any time what the store has to tell, and nothing while nobody asks for that."""
    log = EventLog()
    assert not log.asked
    log.subscribe(listening("order.*", name="x"), 0)
    assert not log.asked
    log.subscribe(listening("job.dead", "node.*", name="y"), 0)
    assert log.asked == {"job.dead", "node.lost"}
    log.subscribe(listening(name="x", ttl=1), 1)
    assert log.asked == {*TOLD}
    assert log.forget(2) == 1
    assert log.asked == {"job.dead", "node.lost"}
    log.unsubscribe(["y"])
    assert not log.asked


def test_all_that_is_told_has_its_place_in_the_table() -> None:
    """The store tells nothing that is not in the table of names, and every event about jobs that is there."""
    assert {*TOLD} <= BUILT_IN.keys()
    assert {name for name in BUILT_IN if name.startswith("job.")} == {name for name in TOLD if name.startswith("job.")}


def test_a_pruned_id_is_forgotten() -> None:
    """What is remembered of ids is what is stored of events."""
    log = EventLog()
    assert log.append([kept(id="one"), kept(id="one"), kept()], 0) == 2
    assert log.prune(0, 10) == 2
    assert not log._ids


async def test_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody asks for what happens to jobs, nothing is made to be told of it."""
    clock = FakeClock()
    backend = MemoryBackend(clock)
    await backend.open(create=True)
    await publish(backend)
    await subscribe(backend, "order.*")

    def fail(*_args: object, **_fields: object) -> None:
        raise AssertionError("something is told")

    for module in (admin, claiming, inserting, letters, pruning):
        monkeypatch.setattr(module, "tell", fail)
    monkeypatch.setattr(settling, "tell_settled", fail)
    await ended(backend, JobState.COMPLETED)
    letter = await dead(backend)
    await backend.admin.replay([letter])
    job = await add(backend, delay=SECOND)
    await backend.admin.cancel([job.id, letter.id])
    await backend.admin.purge([await dead(backend)])
    await dead(backend)
    await backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 100)
    await backend.close()
