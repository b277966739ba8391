"""Where a claim begins to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.backends.postgres.floors import Floors
from backburner.model.job import Claim
from backburner.ports.jobs import ClaimBatch
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOW, QUICK = 50_000, 500


def batch(*claims: Claim) -> ClaimBatch:
    """Return an answer of these claims."""
    return ClaimBatch(now=1, claims=claims)


def claim(name: str, *, queue: str = "q", priority: int = 5, due: int = 1, gate: str = "") -> Claim:
    """Return a claim."""
    return Claim(
        id=name,
        kind="k",
        queue=queue,
        args="{}",
        priority=priority,
        attempt=1,
        failures=0,
        crashes=0,
        interruptions=0,
        token=1,
        timeout=None,
        retry=None,
        backoff=None,
        created_at=1,
        due_at=due,
        expires_at=None,
        claimed_at=1,
        gate=gate,
    )


def learned(floors: Floors, looks: Iterable[int | None]) -> Floors:
    """Let it learn of looks that gave a job each."""
    for number, looked in enumerate(looks):
        floors.learn(batch(claim(f"{number}", due=number)), looked)
    return floors


def floor_of(floors: Floors, queue: str = "q") -> tuple[list[int], list[str]]:
    """Return where claims of a queue begin."""
    asked: Any = floors.ask([queue, "other"])["floors"]
    assert asked.keys() == {queue}
    return asked[queue]["dues"], asked[queue]["ids"]


def test_a_claim_begins_where_the_last_one_ended() -> None:
    """Claims begin at the last job of each priority that was claimed from the line; gates have their own."""
    floors = learned(Floors(FakeClock(), steady=True), [QUICK] * 3)
    floors.learn(batch(claim("a", priority=1, due=7), claim("b", priority=1, due=8), claim("c", gate="suspect")), None)
    dues, ids = floor_of(floors)
    assert (dues[1], ids[1]) == (8, "b")
    assert (dues[5], ids[5]) == (2, "2")
    assert (dues[0], ids[0]) == (-(1 << 63), "")


def test_what_is_missing_is_looked_for_from_the_head() -> None:
    """A line that gives less than was asked for is gone through whole, unless that was slow three times in a row."""
    assert learned(Floors(FakeClock(), steady=True), [QUICK, SLOW, SLOW, QUICK, SLOW, SLOW]).ask(["q"])["walk"] is True
    assert learned(Floors(FakeClock(), steady=True), [SLOW] * 3).ask(["q"])["walk"] is False


def test_each_second_one_begins_at_the_head() -> None:
    """A second after a look from the head there is another, however full the line is; quick again, all is as before."""
    clock = FakeClock()
    floors = learned(Floors(clock, steady=True), [SLOW] * 3)
    floors.learn(batch(), None)
    assert floors.ask(["q"])["walk"] is False
    clock.move(1)
    assert floors.ask(["q"]) == {}
    floors.learn(batch(), QUICK)
    assert floors.ask(["q"])["walk"] is True


def test_who_was_left_in_line_is_looked_for_from_the_head() -> None:
    """After a claim that left somebody in line the next one begins at the head, however slow that was."""
    floors = learned(Floors(FakeClock(), steady=True), [SLOW] * 3)
    floors.learn(batch(claim("a", due=7)), None, left=True)
    assert floors.ask(["q"]) == {}
    floors.learn(batch(claim("b", due=8)), None)
    assert floor_of(floors)[0][5] == 8


def test_by_a_clock_that_stands_still_all_begin_at_the_head() -> None:
    """By a test's clock who comes later is due at once with those before, so nobody may be passed over."""
    assert learned(Floors(FakeClock(), steady=False), [SLOW] * 5).ask(["q"]) == {}
