"""Which unique key a whole job holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import UNIQUE_GATE

if TYPE_CHECKING:
    from backburner.model.job import JobImage

__all__ = ["held_key"]


def held_key(image: JobImage, now: int) -> str | None:
    """Return the key that a job holds, by its state or by its time, and not while it stands at the key's own gate."""
    job = image.record
    if job.unique is None or job.gate == UNIQUE_GATE + job.unique:
        return None
    held = job.state in image.unique_states or (image.unique_until is not None and now < image.unique_until)
    return job.unique if held else None
