"""Holds, at each beat, what this node runs against what the store says that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.jobs.run import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from backburner.jobs.executor import Executor
    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.jobs.run import Run
    from backburner.ports.nodes import Beat

__all__ = ["Roll"]


class Roll:
    """Ends runs whose claims are lost or cancelled, and gives back what only one of the two sides knows.

    Answers may be under way on either side: that is given back which two beats have found so, ``patience`` seconds
    apart at least.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        node: Identity,
        pending: Callable[[], Collection[str]],
        stray: Callable[[str, int], None],
        patience: float,
        kit: Kit,
    ) -> None:
        self._executor = executor
        self._node = node
        self._pending = pending
        self._stray = stray
        self._patience = patience
        self._clock = kit.clock
        #: Claims that the store says this node holds and that it does not run, and since when that is known.
        self._strays: dict[str, float] = {}
        #: Runs of a former id that have not ended, and since when that is known.
        self._outliving: dict[str, float] = {}

    def call(self, running: Mapping[str, int], beat: Beat) -> None:
        """Act on what ran when the beat began, by id its token, and on what that found."""
        self._look_for_lost(running, beat)
        self._look_for_strays(beat)

    def _look_for_lost(self, running: Mapping[str, int], beat: Beat) -> None:
        held = {claim.id: claim for claim in beat.claims}
        outliving = {}
        for job_id, token in running.items():
            run = self._executor.runs.get(job_id)
            if run is None or run.token != token:
                continue
            claim = held.get(job_id)
            if claim is not None and claim.token == token:
                if claim.cancel:
                    self._executor.end(run, Why.CANCEL)
            elif self._node.holder(job_id, token) == self._node.id:
                self._executor.end(run, Why.LOST)
            else:
                outliving[job_id] = self._outlives(run)
        self._outliving = outliving

    def _outlives(self, run: Run) -> float:
        """Give up a run of a former id, told to end by the fence: nobody renews that id's lease, so others soon judge it."""
        now = self._clock.monotonic()
        since = self._outliving.get(run.id, now)
        if now - since >= self._patience:
            self._executor.give_up(run, "its node could not renew its lease")
        return since

    def _look_for_strays(self, beat: Beat) -> None:
        """Give back claims whose answers were lost."""
        now = self._clock.monotonic()
        pending = self._pending()
        strays = {}
        for claim in beat.claims:
            if claim.id in self._executor.runs or claim.id in pending:
                continue
            since = strays[claim.id] = self._strays.get(claim.id, now)
            if now - since >= self._patience:
                self._stray(claim.id, claim.token)
        self._strays = strays
