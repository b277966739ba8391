"""Retry budgets: which share of the work on a dependency may be retries."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from backburner.errors import InvalidOption
from backburner.model.clock import SECOND
from backburner.model.lane import Algorithm, Limit, Rate
from backburner.model.names import check_name
from backburner.resilience.checks import check_share, check_whole
from backburner.resilience.rates import check_rate, interval, parse_rate

__all__ = ["Budget"]

#: Microseconds between two of the reserve's retries, at least: a share of it is then exact to a thousandth.
_SHORTEST_INTERVAL = SECOND // 1000


@dataclass(frozen=True, slots=True)
class Budget:
    """The share of work on a dependency that may be retries, over all nodes; beyond it a retry waits, none is dropped.

    Each first attempt pays ``ratio`` of a retry in, ``reserve`` (a rate) pays in by time, a retry that is let through
    takes one out. In any stretch of time at most ``capacity + reserve · time + ratio · first attempts`` retries run.

    - ``ratio``: Finagle's ``RetryBudget`` and Envoy have a fifth, gRPC (proposal A6) a tenth. A dependency that fails
      every call then sees 1.2 times its normal load, not the ten times of ten attempts each.
    - ``reserve``: without it, a queue without new work would never finish its retries. RPC clients keep ten a second
      (Finagle); a job's retries are minutes apart, so one is enough to drain 3,600 an hour.
    - ``capacity``: what may be saved up, and so the most retries that run at once after a quiet time. Jobs come by
      claims of up to a hundred, which pay in twenty at a stroke; what is full takes no more, so a capacity of ten
      would make a fifth into a tenth. A hundred holds what five such claims pay in. It is what AWS's SDKs allow (500
      tokens, 5 a retry), and Finagle's reserve (ten a second for ten seconds).

    Raises `InvalidOption`.
    """

    name: str
    _: KW_ONLY
    ratio: float = 0.2
    #: Such as ``"1/s"``, or a `rate` without a burst or windows; at most a thousand a second.
    reserve: str | Rate = "1/s"
    capacity: int = 100
    _limit: Limit = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check, and reckon."""
        check_name(self.name, "budget")
        check_share(self.ratio, "ratio", "0.2 is one retry in five first attempts")
        check_whole(self.capacity, "capacity")
        rate = self._reserve()
        # Rounded down, as an interval is rounded up: never more than the share.
        deposit = int(self.ratio * interval(rate))
        object.__setattr__(self, "_limit", Limit(rate=rate, deposit=deposit))

    def limit(self) -> Limit:
        """Return what the budget's lane allows: a token bucket of ``capacity``, filled by the reserve and by deposits."""
        return self._limit

    def _reserve(self) -> Rate:
        given = parse_rate(self.reserve) if isinstance(self.reserve, str) else self.reserve
        if not isinstance(given, Rate):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(f'reserve={given!r} is no rate; write "1/s"', option="reserve")
        if given.algorithm is not Algorithm.GCRA or given.burst != 1:
            raise InvalidOption(
                f'reserve={self.reserve!r} takes no burst and no windows: write "1/s", and say how much is saved up by '
                "capacity=",
                option="reserve",
            )
        rate = check_rate(Rate(limit=given.limit, period=given.period, burst=self.capacity))
        if interval(rate) < _SHORTEST_INTERVAL:
            raise InvalidOption(
                f"reserve={self.reserve!r} is more than a thousand a second: lower it", option="reserve"
            )
        return rate
