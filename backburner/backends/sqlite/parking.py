"""New jobs that stand where others of their lanes stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import due_at
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.lane import LANE_GATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import NewJob

__all__ = ["park"]

_CROWDED = load("crowded")

_decode_names = msgspec.json.Decoder(frozenset[str]).decode


def park(groups: Sequence[Sequence[NewJob]], now: int) -> Steps[Sequence[Sequence[NewJob]]]:
    """Return groups with those jobs at the gate of a lane that could run at once, but for others who stand there."""
    lanes = {lane for group in groups for job in group for lane in job.lanes}
    if not lanes:
        return groups
    (found,) = yield _CROWDED, {"lanes": to_json([*lanes])}
    crowded = _decode_names(found)
    if not crowded:
        return groups
    return [[_stand(job, crowded, now) for job in group] for group in groups]


def _stand(job: NewJob, crowded: frozenset[str], now: int) -> NewJob:
    if job.gate or due_at(job, now) > now:
        return job
    lane = next((lane for lane in job.lanes if lane in crowded), None)
    return job if lane is None else msgspec.structs.replace(job, gate=LANE_GATE + lane)
