"""How a run ended, in the words of spans and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backburner.model.job import Ending, JobState

if TYPE_CHECKING:
    from backburner.model.job import Settlement

__all__ = ["End", "end_of"]

#: Endings that are a failure of the run; the others are somebody's decision.
_FAILURES = frozenset({Ending.FAILED, Ending.REJECTED, Ending.CRASHED, Ending.MISFIT})


class End(NamedTuple):
    """An end: bounded words, fit for a metric."""

    #: As events and other metrics say it: ``completed``, ``retry``, ``dead``, ``cancelled``, ``snoozed``,
    #: ``interrupted``, ``crashed``, ``misfit``, ``released`` before it began, or ``lost`` with its claim.
    outcome: str
    #: The type of what failed it, ``module.Name`` or ``crashed``; None: no failure.
    error: str | None = None


def end_of(settlement: Settlement | None) -> End:
    """Tell how a run ended, by what is written down of it; None: its claim was lost."""
    if settlement is None:
        return End("lost")
    ending = settlement.ending
    error = settlement.error or str(ending) if ending in _FAILURES else None
    match settlement.state:
        case JobState.PENDING:
            outcome = "retry" if ending is Ending.FAILED else ending or "released"
            return End(str(outcome), error)
        case state:
            return End(str(state), error)
