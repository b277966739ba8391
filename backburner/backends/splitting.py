"""Settlements that are the common case, apart from the others, so that a store can write them in few steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import Settlement

__all__ = ["is_plain", "split"]


def split(settlements: Sequence[Settlement]) -> tuple[list[Settlement], list[Settlement]]:
    """Return those that are plain and alone with their job, but for notes; and the others, in their order.

    The notes among the others are to be written first; one that came after its run's plain end is too late, and left out.
    """
    plain = [each for each in settlements if is_plain(each)]
    if len(plain) == len(settlements):
        return plain, []
    named = {each.id for each in settlements if each.state is not JobState.RUNNING and not is_plain(each)}
    alone: list[Settlement] = []
    others: list[Settlement] = []
    ended: set[tuple[str, int]] = set()
    for each in settlements:
        if is_plain(each) and each.id not in named:
            alone.append(each)
            ended.add((each.id, each.token))
        elif (each.id, each.token) not in ended:
            others.append(each)
    return alone, others


def is_plain(each: Settlement) -> bool:
    """Tell whether it completes its job and says nothing else."""
    return (
        each.state is JobState.COMPLETED
        and each.reason is None
        and each.ending is None
        and each.progress is None
        and each.checkpoint is None
        and not (each.failed or each.crashed or each.interrupted or each.unstarted or each.jobs)
    )
