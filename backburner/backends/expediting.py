"""What bringing jobs forward found, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.ports.jobs import ExpediteAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["answer_of"]


def answer_of(ids: Iterable[str], found: Mapping[str, str], now: int) -> ExpediteAnswer:
    """Return the answer for ids, each once; ``found`` has the answer's field for each that is stored."""
    fields: dict[str, list[str]] = {}
    for job_id in dict.fromkeys(ids):
        fields.setdefault(found.get(job_id, "missing"), []).append(job_id)
    return ExpediteAnswer(now=now, **{field: tuple(named) for field, named in fields.items()})
