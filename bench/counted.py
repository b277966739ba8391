"""The program whose instructions are counted: store no-op jobs in one write, and await each.

`counted.py STORE JOBS WATCHED [VGDB]`: with that, valgrind is told to count from after the warm-up until the last job is
done. Watched `by-nobody`, by `prometheus`, by `tracing` of one trace in a hundred, by a
`listener` of what never happens, or while a handler asks for `others` than what jobs tell.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import backburner
from backburner import Backburner

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

#: Jobs that come first, so that what happens once, to whatever runs first, is in every count alike.
WARM_UP = 200


async def main(store: str, jobs: int, watched: str, vgdb: str | None = None) -> None:
    """Store jobs and see them all completed, on a new store in the working directory."""
    bb = Backburner("memory://" if store == "memory" else "sqlite:///counted.db", queues={"default": 100})
    request = _watch(bb, watched)

    @bb.job
    async def nothing() -> None: ...

    async with bb:
        for count in (WARM_UP, jobs):
            if vgdb is not None:
                await asyncio.to_thread(_count, vgdb, on=count == jobs)
            with request():
                handles = await bb.create_tasks([nothing() for _ in range(count)])
            for handle in handles:
                await handle
        if vgdb is not None:
            await asyncio.to_thread(_count, vgdb, on=False)


def _count(vgdb: str, *, on: bool) -> None:
    """Have valgrind, under which this process runs, count from now on, or no more."""
    command = [vgdb, f"--pid={os.getpid()}", "instrumentation", "on" if on else "off"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _watch(bb: Backburner[Any], watched: str) -> Callable[[], AbstractContextManager[Any]]:
    """Have an engine watched; return what a request is surrounded by."""
    if watched == "prometheus":
        from backburner.observability.prometheus import Prometheus  # noqa: PLC0415 - counted where it is wanted alone

        Prometheus(bb)
    elif watched == "others":

        @bb.on("order.*")
        async def handle(event: backburner.Event) -> None: ...

    elif watched == "listener":
        bb.listen("breaker.opened")(print)
    elif watched == "tracing":
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - counted where it is wanted alone
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - likewise

        from backburner.observability.otel import OpenTelemetry  # noqa: PLC0415 - likewise

        provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.01)))
        OpenTelemetry(bb, tracer_provider=provider)
        tracer = provider.get_tracer("counted")
        return lambda: tracer.start_as_current_span("request")
    return nullcontext


if __name__ == "__main__":
    # When garbage is collected depends on what was made before, which is another's cost.
    gc.disable()
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
