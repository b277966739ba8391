"""Pages of timings: where one ends, as a text that names a moment and an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backburner.ports.jobs import Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.ports.jobs import Timing

__all__ = ["NEVER", "begin", "page_of", "read_end"]

#: No job has ended then, and none so long ago.
NEVER: Final = (1 << 63) - 1


def begin(now: int, within: int) -> int:
    """Return from when on jobs ended within so many microseconds; none did before 1970."""
    return max(0, now - within)


def read_end(after: str | None) -> tuple[int, str]:
    """Return the moment and the id below which a page begins; raises ValueError for what no page has answered."""
    if after is None:
        return NEVER, ""
    moment, _, job_id = after.partition("/")
    return int(moment), job_id


def page_of(found: Sequence[Timing], limit: int, now: int) -> Timings:
    """Return the page of those found in their order, one more than asked for if there are more."""
    page = tuple(found[:limit])
    last = page[-1] if page and len(found) > limit else None
    return Timings(now, page, None if last is None else f"{last.ended_at}/{last.id}")
