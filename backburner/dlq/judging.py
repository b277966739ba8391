"""Whether a replay goes on: what became of first attempts, and how many may fail. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import msgspec

from backburner.dlq.state import Phase, State
from backburner.model.job import JobRecord, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.dlq.state import Mark

__all__ = ["ENOUGH", "First", "first_attempt", "judged", "stop_reason"]

#: So many first attempts must have ended before their failures stop a replay, but for the first ten.
ENOUGH: Final = 20


class First(Enum):
    """What is known of a letter's first attempt after its replay."""

    #: It has not ended.
    AWAITED = auto()
    OK = auto()
    FAILED = auto()
    #: It tells nothing: the letter was not replayed, or cancelled, or is gone.
    NOTHING = auto()


def first_attempt(mark: Mark, job: JobRecord | None) -> First:
    """Say what became of a letter's first attempt; ``mark`` is the letter as it died, ``job`` as it is now.

    A replay sets the failures to zero and leaves the token, which the next claim raises. So failures tell of the first
    attempt whatever came later; and what is dead under its old token was not replayed. Interrupted, snoozed or crashed
    in company, an attempt was not the first to end.
    """
    if job is None or (job.state is JobState.DEAD and job.token == mark.token):
        return First.NOTHING
    if job.failures or job.state is JobState.DEAD:
        return First.FAILED
    match job.state:
        case JobState.COMPLETED:
            return First.OK
        case JobState.CANCELLED:
            return First.NOTHING
        case _:
            return First.AWAITED


def judged(state: State, jobs: Iterable[JobRecord], now: int) -> State:
    """Return the state once the watched jobs have been read: their first attempts counted, those that ended let go."""
    found = {job.id: job for job in jobs}
    seen = [(mark, first_attempt(mark, found.get(mark.id))) for mark in state.watched]
    outcomes = [outcome for _, outcome in seen]
    return msgspec.structs.replace(
        state,
        watched=tuple(mark for mark, outcome in seen if outcome is First.AWAITED),
        looked_at=now,
        ok=state.ok + outcomes.count(First.OK),
        failed=state.failed + outcomes.count(First.FAILED),
    )


def stop_reason(state: State) -> str:
    """Say why a replay has to stop by itself; empty where it goes on.

    Of the first ten, as soon as it is sure that too many of them fail; later, of at least `ENOUGH`.
    """
    ended = state.ok + state.failed
    if state.phase is Phase.WAITING:
        ended += len(state.watched)
    elif state.phase is not Phase.REST or ended < ENOUGH:
        return ""
    if not state.failed or state.failed < state.stop_at * ended:
        return ""
    return f"{state.failed:,} of {ended:,} first attempts failed again"
