"""Metrics for Prometheus: counted by the engine as it goes, read from the store at a scrape, served as an ASGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from backburner.errors import InvalidOption
from backburner.log import emit
from backburner.model.clock import SystemClock
from backburner.observability.asgi import Answer, header, respond
from backburner.observability.paced import Paced
from backburner.observability.tally import Tally

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    from backburner.observability.collector import EngineCollector
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("prometheus_client"):
        raise
    raise ModuleNotFoundError(
        "prometheus_client, which metrics for Prometheus need, is not installed: pip install 'backburner[prometheus]'",
        name=error.name,
    ) from error

if TYPE_CHECKING:
    from backburner.model.clock import Clock
    from backburner.observability.asgi import Receive, Scope, Send
    from backburner.observability.paced import Reading
    from backburner.observability.sampling import Sample
    from backburner.observability.vitals import Vitals
    from backburner.ports.telemetry import Telemetry

__all__ = ["Measured", "Prometheus"]

#: Reading the store for metrics takes no more of the time than this.
_SHARE: Final = 0.1
#: Seconds that a scrape waits for the store: Prometheus itself gives up after ten.
_DEADLINE: Final = 5.0
_LOGGER: Final = "backburner.metrics"


class Measured(Protocol):
    """What of an engine is measured; `Backburner` is one."""

    def instrument(self, telemetry: Telemetry, /) -> object:
        """Have a telemetry hear what the engine tells."""
        ...

    def vitals(self) -> Vitals:
        """Return what the engine knows of itself; also while it does not run."""
        ...

    async def sample(self) -> Sample:
        """Read what metrics show of the store; raises `NotRunning`, and what the store raises."""
        ...


class Prometheus:
    """An engine's metrics, as an ASGI app: ``app.mount("/metrics", Prometheus(bb))``. Needs ``backburner[prometheus]``.

    Their names, labels and units stand in the table of metrics; labels are kinds, queues, outcomes and other names, never
    ids, and no more than a thousand of each, beyond which they are counted together as ``other``.

    Counting costs well below a microsecond a job. The store is read at a scrape, once for all who scrape at the same time,
    at most every ``backlog_every`` seconds (None: never) and a tenth of the time; where that fails the metrics of the
    process still come, ``backburner_store_readable`` is 0, and nothing is shown of the store. ``registry`` is one of
    prometheus_client's, such as its global ``REGISTRY``, whose other metrics are then served too; without one the
    engine has its own, so several engines in one process are several apps. Raises `InvalidOption`.
    """

    def __init__(
        self,
        bb: Measured,
        *,
        registry: CollectorRegistry | None = None,
        backlog_every: float | None = 15.0,
        clock: Clock | None = None,
    ) -> None:
        if backlog_every is not None and not backlog_every > 0:
            raise InvalidOption(
                f"backlog_every={backlog_every!r} must be a number of seconds above 0, or None: never read the store",
                option="backlog_every",
            )
        self._store = (
            None
            if backlog_every is None
            else Paced(bb.sample, every=backlog_every, share=_SHARE, deadline=_DEADLINE, clock=clock or SystemClock())
        )
        #: The store could be read the last time, as far as the log has been told.
        self._readable = True
        self._registry = CollectorRegistry() if registry is None else registry
        tally = Tally()
        try:
            self._registry.register(EngineCollector(tally, vitals=bb.vitals, reading=self._last))
        except ValueError as error:
            raise InvalidOption(
                "registry= shows an engine's metrics already: leave it out, and give each engine an app of its own",
                option="registry",
            ) from error
        bb.instrument(tally)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a scrape: the text format, or OpenMetrics for who accepts that."""
        del receive  # a scrape has no body

        async def page() -> Answer:
            await self.refresh()
            encode, kind = choose_encoder(header(scope, b"accept"))
            return Answer(encode(self._registry), kind)

        await respond(scope, send, page)

    async def refresh(self) -> None:
        """Read the store if it is time to, as a scrape does: for a registry that is shown by something else than this app.

        Never raises for want of the store.
        """
        if self._store is None:
            return
        reading = await self._store.get()
        if (reading.error is None) is not self._readable:
            self._readable = reading.error is None
            if self._readable:
                emit(_LOGGER, "info", "metrics.store_readable", {})
            else:
                emit(_LOGGER, "warning", "metrics.store_not_readable", {"error": repr(reading.error)})

    def _last(self) -> Reading[Sample] | None:
        return None if self._store is None else self._store.last
