"""Confirmations as the documents of their function, and its answers as those of the port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.inserting import Part, alone, document_of, flaw_of, lanes_of, portions
from backburner.errors import StoreError
from backburner.ports.events import Confirmed
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from backburner.ports.events import Confirmation

    Call: TypeAlias = Callable[[bytes], Awaitable[str]]

__all__ = ["confirm"]


class _Answer(msgspec.Struct):
    now: int
    #: None: it stood elsewhere.
    parts: list[Part | None]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Answer, strict=False).decode


async def confirm(confirmations: Sequence[Confirmation], now: int | None, call: Call) -> Confirmed:
    """Confirm by ``call``, in one write, unless the jobs have very many unique keys."""
    answers: list[GroupAnswer | None] = []
    moment = 0
    waiting = iter(confirmations)
    for groups in portions([each.jobs for each in confirmations]):
        part = [each for _, each in zip(groups, waiting, strict=False)]
        try:
            confirmed = await _confirm(part, now, call)
        except StoreError as error:
            if answers:
                # What went before is stored.
                error.stored = "unknown"
            raise
        moment = confirmed.now
        answers += confirmed.groups
    return Confirmed(now=moment, groups=tuple(answers))


async def _confirm(confirmations: Sequence[Confirmation], now: int | None, call: Call) -> Confirmed:
    flaws = [flaw_of(each.jobs, now or 0) for each in confirmations]
    good = [each for each, flaw in zip(confirmations, flaws, strict=True) if flaw is None]
    document: dict[str, object] = {
        "now": now,
        "names": [each.name for each in good],
        "parts": [
            {"name": each.name, "cursor": each.cursor, "upto": each.upto, **document_of([each.jobs], None)}
            for each in good
        ],
    }
    lanes = lanes_of([job for each in good for job in each.jobs])
    if lanes:
        document["lanes"] = lanes
    answer = _decode(await call(_encode(document)))
    parts = zip(good, answer.parts, strict=True)
    answers: list[GroupAnswer | None] = []
    for flaw in flaws:
        if flaw is not None:
            answers.append(GroupAnswer(refused=flaw))
            continue
        each, part = next(parts)
        answers.append(None if part is None else alone([each.jobs], part))
    return Confirmed(now=answer.now, groups=tuple(answers))
