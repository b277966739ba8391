"""Jobs, nodes and demands for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.model.job import JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import Claim


def new(id: str = "job", **options: Any) -> NewJob:  # noqa: ANN401 - whatever a job may have
    """Return a job."""
    return NewJob(**{"id": id, "kind": "kind", "queue": "queue", "args": "{}"} | options)


def node(id: str = "node") -> NodeRecord:
    """Return a node."""
    return NodeRecord(id=id, host="host", pid=1, started_at=0, queues={"queue": 100}, kinds=("kind",))


def demand(slots: int = 100, id: str = "node") -> ClaimRequest:
    """Return a demand."""
    return ClaimRequest(node=id, queues={"queue": slots}, limit=slots, kinds=frozenset({"kind"}))


def completed(claims: Sequence[Claim]) -> list[Settlement]:
    """Return settlements that complete claims."""
    return [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED, result="1") for each in claims]
