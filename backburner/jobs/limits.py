"""Limits of lanes, as operators see and set them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import msgspec

from backburner.errors import InvalidOption, UnknownLimit
from backburner.jobs.queues import check_limit_slots
from backburner.model.lane import Algorithm, Limit, Rate, name_of
from backburner.model.telling import tell
from backburner.ports.backend import Hint
from backburner.resilience.rates import check_rate, interval, rate_of, rate_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backburner.model.event import NewEvent
    from backburner.model.lane import LimitRecord
    from backburner.ports.limits import LimitStore

__all__ = ["Limits", "near"]


class Limits:
    """What lanes allow, over all nodes: what the last deploy declared, unless an operator says otherwise.

    A limit goes by its family and its name: ``concurrency:thumb``, ``bulkhead:pdf``, ``rate:thumb``, ``budget:stripe``.
    Changed, it holds from the next claim on, and whoever it now has room for is let in. ``tell`` is called with the hint
    that nodes should hear, without waiting.
    """

    def __init__(self, store: LimitStore, tell: Callable[[Hint], None]) -> None:
        self._store = store
        self._tell = tell

    async def set(
        self,
        name: str,
        *,
        slots: int | None = None,
        rate: str | Rate | None = None,
        reason: str | None = None,
        by: str | None = None,
    ) -> None:
        """Say how many run at once, or how many start in how long, until `reset`; what is left out stays as it is.

        Raises `InvalidOption`, `UnknownLimit`. Of a retry budget ``rate`` is the reserve; its share of first attempts stays, and so does what may be saved up,
        unless the rate names a burst. Breakers are opened by `Breakers.open`.
        """
        record = await self._find(name)
        if slots is None and rate is None:
            raise InvalidOption(
                "nothing is set: give slots= (how many at once) or rate= (how many in how long)", option="slots"
            )
        limit = record.limit
        if slots is not None:
            limit = msgspec.structs.replace(limit, slots=check_limit_slots(slots, least=0))
        if rate is not None:
            limit = _with_rate(limit, rate_of(rate), record.declared or Limit())
        shown = None if limit.rate is None else rate_text(limit.rate)
        told = tell("operator.limit.set", name, by=by, reason=reason, slots=limit.slots, rate=shown)
        await self.override(name, limit, told, reason=reason, by=by)

    async def reset(self, name: str, *, reason: str | None = None, by: str | None = None) -> None:
        """Let what the code declares hold again. Raises `InvalidOption`, `UnknownLimit`."""
        await self._find(name)
        await self.override(name, None, tell("operator.limit.reset", name, by=by, reason=reason))

    async def list(self) -> tuple[LimitRecord, ...]:
        """Return all that was declared or set, by name."""
        return await self._store.list()

    async def override(
        self, name: str, limit: Limit | None, told: NewEvent, *, reason: str | None = None, by: str | None = None
    ) -> None:
        """Write what holds instead of what is declared, and let the nodes know."""
        await self._store.override(name, limit, by=by, reason=reason, events=(told,))
        self._tell(Hint.CONTROL)

    async def _find(self, name: str) -> LimitRecord:
        known = {record.name: record for record in await self._store.list()}
        if name not in known:
            own = [each for each in known if not each.startswith("breaker:")]
            raise UnknownLimit(f"there is no limit {name!r}{near(name, own)}", option="name")
        if name.startswith("breaker:"):
            breaker = name_of(name)
            raise InvalidOption(
                f"{name} goes by how runs end: open that breaker, or set it to auto (`breakers open {breaker}`, "
                f"`breakers auto {breaker}`)",
                option="name",
            )
        return known[name]


def _with_rate(limit: Limit, rate: Rate, declared: Limit) -> Limit:
    """Return the limit with another rate; of a retry budget, with the share of first attempts that is declared."""
    if declared.rate is None or declared.deposit is None:
        return msgspec.structs.replace(limit, rate=rate)
    if rate.algorithm is not Algorithm.GCRA:
        raise InvalidOption('the reserve of a retry budget takes no windows: write "1/s"', option="rate")
    capacity = declared.rate.burst if rate.burst == 1 else rate.burst
    reserve = check_rate(msgspec.structs.replace(rate, burst=capacity))
    # A deposit is the time in which as much fills; rounded down, it is never more than the share.
    deposit = declared.deposit * interval(reserve) // interval(declared.rate)
    return msgspec.structs.replace(limit, rate=reserve, deposit=deposit)


def near(name: str, known: Collection[str]) -> str:
    """Return what an error adds about names that come near, or about those there are."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f": did you mean {close[0]!r}?"
    return f"; there {'is' if len(known) == 1 else 'are'} {', '.join(sorted(known))}" if known else "; there is none"
