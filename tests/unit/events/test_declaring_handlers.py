"""What is refused of handlers where they are declared, in words that say how to mend it."""

from __future__ import annotations

import pytest

from backburner import Backburner, Event, Registry
from backburner.errors import DuplicateKind, DuplicateSubscription, UnknownKind
from backburner.sinks import callback


async def tell(event: Event) -> None:
    """Told of events."""


def test_a_job_of_somebody_else_handles_nothing() -> None:
    """Its events would all be refused, one after the other."""
    bb, other = Backburner("memory://"), Registry()

    @other.job
    async def ship(event: Event) -> None:
        """Another's."""

    with pytest.raises(UnknownKind, match=r"ship .* give the engine its Registry"):
        bb.on("order.paid")(ship)
    with pytest.raises(UnknownKind, match="ship"):
        bb.alert(when="dlq.count > 5", to=ship)


async def test_over_a_job_of_another_registry_it_is_the_engine_that_knows() -> None:
    """Both registries belong to one engine, in whichever order; an engine that has one of them alone does not start."""
    one, two = Registry(), Registry()

    @two.job
    async def ship(event: Event) -> None:
        """The other's."""

    one.on("order.paid")(ship)
    for jobs in ([one, two], [two, one]):
        async with Backburner("memory://", jobs=jobs):
            pass
    bb = Backburner("memory://", jobs=[one])
    with pytest.raises(UnknownKind, match="ship"):
        await bb.__aenter__()
    assert not bb.running


def test_two_sinks_of_one_name_are_told_apart_by_their_names() -> None:
    """Not by the line of code that every sink comes by."""
    bb, sink = Backburner("memory://"), callback(tell, name="crm")
    bb.on("order.paid", to=sink)
    with pytest.raises(DuplicateSubscription, match=r"the sink crm, on order\.paid and the sink crm, on order\.sent"):
        bb.on("order.sent", to=sink)
    with pytest.raises(DuplicateKind, match=r'crm is declared twice: .* name="…"'):
        bb.on("order.sent", to=callback(tell, name="crm"))
