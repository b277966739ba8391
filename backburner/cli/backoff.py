"""`backburner backoff`."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from backburner.cli.render import Mode, View, json_option, listing, mode, note
from backburner.model.clock import SECOND
from backburner.model.duration import about, short
from backburner.resilience.retry import POLICIES, RetryPolicy, policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["command"]

T = TypeVar("T")

#: Columns of the plot.
_WIDTH = 30


class Try(NamedTuple):
    """When a job that has failed so far is tried again; all in microseconds."""

    #: The number of this attempt, from 2.
    attempt: int
    least: int
    most: int
    #: Half-way: what is waited on average.
    typical: int
    #: All that has typically been waited since the first attempt.
    total: int


@click.command("backoff")
@click.argument("name", required=False)
@json_option
def command(*, name: str | None, as_json: bool) -> None:
    """Show when a retry policy tries again: a table and a plot. Without NAME, list the policies.

    Piped, a line is: attempt, least, most and typical delay before it, sum of the typical ones so far; without NAME:
    policy, attempts, backoff, least and most that all delays come to. --json has durations in seconds.
    """
    how = mode(as_json=as_json)
    if name is None:
        asyncio.run(listing(how, _page(tuple(POLICIES.values())), _POLICIES))
        return
    chosen = policy(name)
    tries = _tries(chosen)
    if how is Mode.TABLE:
        note(f"{chosen.name}: {_summary(chosen)}")
    asyncio.run(listing(how, _page(tries), _tries_view(tries)))


async def _page(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    yield items


def _tries(policy: RetryPolicy) -> tuple[Try, ...]:
    assert policy.attempts is not None  # noqa: S101 - those that go by name all end
    tries: list[Try] = []
    total = 0
    for failures in range(1, policy.attempts):
        least, most = policy.backoff.bounds(failures)
        typical = (least + most) // 2
        total += typical
        tries.append(Try(failures + 1, least, most, typical, total))
    return tuple(tries)


def _tries_view(tries: Sequence[Try]) -> View[Try]:
    longest = max((each.most for each in tries), default=0)
    return View(
        titles=("ATTEMPT", "LEAST", "MOST", "TYPICAL", "SO FAR", "LEAST TO MOST (LOGARITHMIC)"),
        cells=lambda each: (str(each.attempt), *map(about, each[1:]), _bar(each, longest)),
        numbers=(0,),
        fields=lambda each: (str(each.attempt), *map(short, each[1:])),
        value=lambda each: {
            "attempt": each.attempt,
            "least": each.least / SECOND,
            "most": each.most / SECOND,
            "typical": each.typical / SECOND,
            "total": each.total / SECOND,
        },
    )


def _bar(each: Try, longest: int) -> str:
    """Draw a delay on a logarithmic scale: full up to the least, light up to the most."""
    least, most = (round(_WIDTH * math.log1p(delay / SECOND) / math.log1p(longest / SECOND)) for delay in each[1:3])
    return "█" * least + "░" * (most - least)


def _summary(policy: RetryPolicy) -> str:
    return f"{policy.attempts} attempts; {_backoff(policy)}" if _tries(policy) else "the first failure is the last"


def _backoff(policy: RetryPolicy) -> str:
    backoff = policy.backoff
    if policy.attempts == 1:
        return ""
    growth = f"{about(backoff.base)}, times {backoff.factor:g} after each failure, up to {about(backoff.cap)}"
    return f"{growth}, {backoff.jitter} jitter"


def _sums(policy: RetryPolicy) -> tuple[int, int]:
    tries = _tries(policy)
    return sum(each.least for each in tries), sum(each.most for each in tries)


_POLICIES: View[RetryPolicy] = View(
    titles=("POLICY", "ATTEMPTS", "IN ALL", "BACKOFF"),
    cells=lambda policy: (
        policy.name,
        str(policy.attempts),
        " to ".join(map(about, _sums(policy))),
        _backoff(policy),
    ),
    fields=lambda policy: (
        policy.name,
        str(policy.attempts),
        _backoff(policy),
        *map(short, _sums(policy)),
    ),
    numbers=(1,),
    value=lambda policy: {
        "policy": policy.name,
        "attempts": policy.attempts,
        "strategy": policy.backoff.strategy,
        "base": policy.backoff.base / SECOND,
        "factor": policy.backoff.factor,
        "cap": policy.backoff.cap / SECOND,
        "jitter": policy.backoff.jitter,
        "least": _sums(policy)[0] / SECOND,
        "most": _sums(policy)[1] / SECOND,
    },
)
