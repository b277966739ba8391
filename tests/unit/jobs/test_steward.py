"""The steward: what dead nodes ran is taken over, what expired is ended, what was kept enough is pruned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner.errors import StoreBusy
from backburner.jobs import steward as module
from backburner.jobs.steward import Steward
from backburner.model.job import SUSPECT_GATE, JobState
from backburner.ports.jobs import ClaimRequest, Keep
from backburner.ports.telemetry import Signal
from tests.unit.jobs.told import SECOND, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.jobs.settler import Subject
    from backburner.model.job import Settlement
    from backburner.ports.jobs import Page
    from tests.unit.jobs.told import Stage

BEAT = 10.0
DAY = 86_400 * SECOND


class Office:
    """A steward on a stage, and what it settled."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ends: dict[str, Settlement] = {}
        self.running: dict[str, int] = {}
        self.pending: list[tuple[str, int]] = []
        self.novitiate = 0.0
        self.steward = Steward(
            stage.store,
            stage.store,
            stage.backend.reader,
            node=stage.node,
            keep=Keep(completed=DAY, cancelled=DAY, dead=DAY),
            interval=BEAT,
            running=lambda: self.running,
            pending=lambda: self.pending,
            novitiate=lambda: self.novitiate,
            settle=self._settle,
            released=lambda: None,
            kit=stage.kit,
        )

    def _settle(self, subject: Subject, settlement: Settlement, error: BaseException | None = None, /) -> None:
        del error
        self.ends[subject.id] = settlement

    async def claimed_by(self, node: str, *ids: str, crashes: int = 0) -> None:
        """Let a node claim jobs."""
        await self.stage.publish(node)
        await self.stage.backend.jobs.enqueue([[job(one)] for one in ids])
        for one in ids:
            self.stage.database.jobs[one].crashes = crashes
        request = ClaimRequest(
            node=node, queues={"default": len(ids)}, limit=len(ids), kinds=frozenset({"work"}), suspect=True
        )
        batch = await self.stage.backend.jobs.claim(request)
        assert len(batch.claims) == len(ids)

    async def die(self, node: str) -> None:
        async with self.stage.backend.keeper() as keeper:
            await keeper.abandon(node)


@pytest.fixture
async def office(stage: Stage) -> AsyncIterator[Office]:
    """Bring a steward that is not started."""
    made = Office(stage)
    yield made
    await made.steward.stop()


@pytest.mark.parametrize(
    ("crashes", "state", "gate"),
    [(0, JobState.PENDING, ""), (1, JobState.PENDING, SUSPECT_GATE), (2, JobState.DEAD, "")],
)
async def test_a_dead_nodes_jobs_are_charged_a_crash(
    stage: Stage, office: Office, crashes: int, state: JobState, gate: str
) -> None:
    """What a dead node ran is settled with one crash more: again, then as a suspect, then as poison; and told."""
    await office.claimed_by("other", "a", crashes=crashes)
    await office.die("other")
    office.steward.start()
    await stage.settle()
    end = office.ends["a"]
    assert (end.state, end.gate, end.crashed, end.failed) == (state, gate, 1, 0)
    (told,) = stage.ear.told(Signal.JOB_LAPSED)
    assert (told["id"], told["node"], told["crashes"]) == ("a", "other", crashes + 1)


async def test_living_nodes_keep_their_jobs(stage: Stage, office: Office) -> None:
    """What a living node runs is left alone."""
    await office.claimed_by("other", "a")
    office.steward.start()
    await stage.wait(BEAT)
    assert office.ends == {}


async def test_a_hint_of_a_death_is_followed_at_once(stage: Stage, office: Office) -> None:
    """A wake takes over without waiting for the next beat."""
    office.steward.start()
    await stage.settle()
    await office.claimed_by("other", "a")
    await office.die("other")
    await stage.settle()
    assert office.ends == {}
    office.steward.wake()
    await stage.settle()
    assert set(office.ends) == {"a"}


async def test_who_may_come_in_is_looked_for_twice(office: Office, stage: Stage) -> None:
    """A claim under way may turn a job away after the first look, for want of the room that it was about: the second sees it."""
    office.steward.start()
    await stage.settle()
    before = len(stage.orders.writes("release"))
    office.steward.freed()
    await stage.settle()
    assert len(stage.orders.writes("release")) == before + 1
    await stage.wait(0.5)
    assert len(stage.orders.writes("release")) == before + 2
    await stage.wait(5)
    assert (len(stage.orders.writes("prune")), len(stage.orders.writes("release"))) == (1, before + 2)


async def test_a_hint_of_a_death_prunes_nothing(stage: Stage, office: Office) -> None:
    """A wake looks for the dead alone: pruning and releasing are due once a beat, however many hints come."""
    office.steward.start()
    await stage.settle()
    for _ in range(5):
        await stage.wait(1)
        office.steward.wake()
        await stage.settle()
    assert len(stage.orders.writes("recover")) == 6
    assert (len(stage.orders.writes("prune")), len(stage.orders.writes("release"))) == (1, 1)
    await stage.wait(BEAT)
    assert (len(stage.orders.writes("prune")), len(stage.orders.writes("release"))) == (2, 2)


async def test_a_novice_judges_nobody(stage: Stage, office: Office) -> None:
    """Before it may, a node asks for no recovery, hint or not; it prunes, and begins as soon as it may."""
    office.novitiate = 25.0
    office.steward.start()
    await stage.wait(BEAT)
    office.steward.wake()
    await stage.settle()
    assert stage.orders.writes("recover") == []
    assert len(stage.orders.writes("prune")) == 2
    office.novitiate = 3.0
    await stage.wait(BEAT)
    office.novitiate = 0.0
    await stage.wait(3)
    assert len(stage.orders.writes("recover")) == 1


async def test_a_beat_finds_deaths_without_a_hint(stage: Stage, office: Office) -> None:
    """One bounded step a beat: a death that nobody told of is found by the next."""
    office.steward.start()
    await stage.settle()
    await office.claimed_by("other", "a")
    await office.die("other")
    await stage.wait(BEAT)
    assert set(office.ends) == {"a"}


async def test_an_expired_job_is_ended(stage: Stage, office: Office) -> None:
    """A pending job whose expiry has passed is cancelled, reason expired, and is not told as lapsed."""
    await stage.backend.jobs.enqueue([[job("a", expires_in=SECOND)]])
    stage.clock.move(2)
    office.steward.start()
    await stage.settle()
    assert (office.ends["a"].state, office.ends["a"].reason) == (JobState.CANCELLED, "expired")
    assert stage.ear.told(Signal.JOB_LAPSED) == []


async def test_a_full_step_is_followed_at_once(stage: Stage, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that took over as much as it may is followed by another without a pause, until nothing is left."""
    monkeypatch.setattr(module, "RECOVER", 3)
    names = [f"j{number}" for number in range(8)]
    await office.claimed_by("other", *names)
    await office.die("other")
    office.steward.start()
    await stage.settle()
    assert sorted(office.ends) == names


async def test_a_failed_step_is_tried_again(stage: Stage, office: Office) -> None:
    """A store that is busy delays the steward and loses nothing."""
    await office.claimed_by("other", "a")
    await office.die("other")
    stage.orders.fail("recover", StoreBusy("locked"))
    office.steward.start()
    await stage.wait(1)
    assert set(office.ends) == {"a"}


async def test_a_stray_is_given_back_uncharged(stage: Stage, office: Office) -> None:
    """A claim that nobody runs is given back: nothing is counted, only its attempt's number stays used."""
    await office.claimed_by(stage.node.id, "a")
    office.steward.start()
    office.steward.stray("a", stage.database.jobs["a"].token)
    await stage.settle()
    end = office.ends["a"]
    assert (end.state, end.unstarted, end.crashed, end.failed, end.interrupted) == (JobState.PENDING, False, 0, 0, 0)


@pytest.mark.parametrize("change", ["token", "state"])
async def test_a_stray_that_moved_on_is_left_alone(stage: Stage, office: Office, change: str) -> None:
    """What was claimed anew, or ended, since it was seen is no stray any more."""
    await office.claimed_by(stage.node.id, "a")
    row = stage.database.jobs["a"]
    seen = row.token
    if change == "token":
        row.token += 1
    else:
        row.state = JobState.COMPLETED
    office.steward.start()
    office.steward.stray("a", seen)
    await stage.settle()
    assert office.ends == {}


async def test_a_stray_whose_answer_came_late_is_left_to_its_run(stage: Stage, office: Office) -> None:
    """A claim that began to run after it was taken for a stray is not given back under its run."""
    await office.claimed_by(stage.node.id, "a", "b")
    office.steward.start()
    for one in ("a", "b"):
        office.steward.stray(one, stage.database.jobs[one].token)
    office.running = {"a": stage.database.jobs["a"].token}
    await stage.settle()
    assert set(office.ends) == {"b"}


async def test_what_was_kept_enough_is_pruned(stage: Stage, office: Office) -> None:
    """Ended jobs go when their time has passed, and not before."""
    await stage.backend.jobs.enqueue([[job("a")]])
    await stage.backend.admin.cancel(("a",))
    office.steward.start()
    await stage.wait(BEAT)
    assert "a" in stage.database.jobs
    stage.clock.move(DAY / SECOND)
    await stage.wait(BEAT)
    assert "a" not in stage.database.jobs


async def test_a_stray_that_has_ended_here_is_left_to_its_settlement(stage: Stage, office: Office) -> None:
    """Its answer came late, it ran, and how that ended is on its way to the store."""
    await office.claimed_by(stage.node.id, "a")
    claim = "a", stage.database.jobs["a"].token
    office.pending.append(claim)
    office.steward.stray(*claim)
    office.steward.start()
    await stage.settle()
    assert office.ends == {}


async def test_an_inheritance_while_strays_are_read_fails_nothing(stage: Stage, office: Office) -> None:
    """What came meanwhile is neither forgotten nor missed."""
    await office.claimed_by(former := stage.node.id, "a", "b")
    tokens = {one: stage.database.jobs[one].token for one in "ab"}
    read = stage.backend.reader.get

    async def get(ids: Sequence[str]) -> Page:
        page = await read(ids)
        if "b" not in ids:
            office.steward.inherit([former])
            office.steward.stray("b", tokens["b"])
        return page

    office.steward._reader = cast("Any", SimpleNamespace(get=get, find=stage.backend.reader.find))
    office.steward.stray("a", tokens["a"])
    office.steward.start()
    await stage.settle()
    assert set(office.ends) == {"a", "b"}
    assert stage.ear.errors == []


async def test_what_was_taken_over_under_a_former_id_is_still_that_ones(stage: Stage, office: Office) -> None:
    """An answer that comes after the node was renewed names what the former id holds: so its settlement does."""
    await office.claimed_by("other", "a")
    await office.die("other")
    stage.orders.hold("recover")
    office.steward.start()
    await stage.settle()
    former = stage.node.id
    stage.node.renew()
    stage.orders.release("recover")
    await stage.settle()
    assert stage.node.holder("a", office.ends["a"].token) == former


async def test_an_answer_that_comes_while_former_claims_are_sought_is_settled_once(
    stage: Stage, office: Office
) -> None:
    """What came back to be given back meanwhile is on its way to the store already."""
    await office.claimed_by(former := stage.node.id, "a")
    token = stage.database.jobs["a"].token
    stage.node.renew()
    await stage.publish(stage.node.id)
    find = stage.backend.reader.find

    async def found(*args: Any, **options: Any) -> Page:  # noqa: ANN401 - passed on
        page = await find(*args, **options)
        office.pending.append(("a", token))
        return page

    office.steward._reader = cast("Any", SimpleNamespace(find=found))
    office.steward.inherit([former])
    office.steward.start()
    await stage.settle()
    assert office.ends == {}
