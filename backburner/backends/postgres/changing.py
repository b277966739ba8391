"""Changes of schedules as the documents of their function, and its answers as those of the port."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from backburner.backends.content import change_flaw, events_flaw
from backburner.backends.postgres.appending import documents_of
from backburner.backends.postgres.failures import is_locked
from backburner.backends.postgres.inserting import MOST_KEYS, document_of, lanes_of
from backburner.errors import StoreBusy, StoreError, StoreRefused
from backburner.ports.schedules import ChangeAnswer, Changed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from backburner.model.schedule import ScheduleChange

    Call: TypeAlias = Callable[[bytes], Awaitable[str]]
    Changes: TypeAlias = Sequence[ScheduleChange]

__all__ = ["change", "document_of_changes"]

_DONE = ChangeAnswer()
_OUTRUN = ChangeAnswer(outrun=True)
_BUSY = ChangeAnswer(busy=True)


class _Part(msgspec.Struct):
    """What became of one part of a write; changes are numbered from 0."""

    outrun: tuple[int, ...] = ()
    busy: tuple[int, ...] = ()
    holders: dict[int, dict[str, str]] = {}
    refused: str | None = None
    why: str = ""


class _Answer(msgspec.Struct):
    now: int
    parts: list[_Part]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Answer, strict=False).decode


async def change(changes: Changes, now: int | None, call: Call) -> Changed:
    """Make changes by ``call``, at first all in one.

    A write with several changes of one schedule, or of very many unique keys, is several.
    """
    answers: list[ChangeAnswer] = []
    moment = 0
    for part in _portions(changes):
        try:
            changed = await _change(part, now, call)
        except StoreError as error:
            if answers:
                # What went before is stored.
                error.stored = "unknown"
            raise
        moment = changed.now
        answers += changed.changes
    return Changed(moment, tuple(answers))


async def _change(changes: Changes, now: int | None, call: Call) -> Changed:
    try:
        answer = _decode(await call(_encode({"now": now, "parts": [document_of_changes(changes)]})))
    except (StoreRefused, UnicodeEncodeError):
        # Of its content, or since a job's id was stored before, which is no fault: each change then stands for itself.
        return await _apart(changes, now, call)
    except StoreBusy as error:
        if not is_locked(error):
            raise
        return await _apart(changes, now, call)
    (part,) = answer.parts
    return Changed(answer.now, tuple(_answers(part, len(changes))))


async def _apart(changes: Changes, now: int | None, call: Call) -> Changed:
    """Make each change for itself, in one transaction all the same."""
    flaws = [change_flaw(each, now or 0) or events_flaw(each.events) for each in changes]
    good = [each for each, flaw in zip(changes, flaws, strict=True) if flaw is None]
    document = {
        "now": now,
        "careful": True,
        "names": [each.schedule.name for each in good],
        "parts": [document_of_changes([each]) for each in good],
    }
    answer = _decode(await call(_encode(document)))
    parts = iter(answer.parts)
    answers = [_alone(next(parts)) if flaw is None else ChangeAnswer(refused=flaw) for flaw in flaws]
    return Changed(answer.now, tuple(answers))


def _portions(changes: Changes) -> list[Changes]:
    """Return changes in runs, each of schedules of its own and of not too many unique keys."""
    portions: list[list[ScheduleChange]] = [[]]
    names: set[str] = set()
    taken = 0
    for each in changes:
        name = each.schedule.name
        keys = sum([job.unique is not None for job in each.jobs])
        if name in names or (names and taken + keys > MOST_KEYS):
            portions.append([])
            names.clear()
            taken = 0
        portions[-1].append(each)
        names.add(name)
        taken += keys
    return list(portions)


def document_of_changes(changes: Changes) -> dict[str, object]:
    """Return changes, each of another schedule, as one part of a document."""
    schedules = [each.schedule for each in changes]
    groups = [each.jobs for each in changes]
    document: dict[str, object] = {
        "schedules": [{**msgspec.structs.asdict(each), "set_by": each.by} for each in schedules],
        "ticks": [
            {"owner": number, **msgspec.structs.asdict(tick)}
            for number, each in enumerate(changes)
            for tick in each.ticks
        ],
    }
    events = [event for each in changes for event in each.events]
    if events:
        document["events"] = documents_of(events)
        document["event_owners"] = [number for number, each in enumerate(changes) for _ in each.events]
    jobs = document_of(groups, None)
    if jobs:
        owners = [number for number, group in enumerate(groups) for _ in group]
        head = len(cast("Sequence[object]", jobs.get("head", ())))
        document |= {**jobs, "tail_owners": owners[head:]}
        lanes = lanes_of([job for group in groups for job in group])
        if lanes:
            document["lanes"] = lanes
    return document


def _answers(part: _Part, count: int) -> list[ChangeAnswer]:
    answers = [_DONE] * count
    for number, holders in part.holders.items():
        answers[number] = ChangeAnswer(holders=holders)
    for number in part.busy:
        answers[number] = _BUSY
    for number in part.outrun:
        answers[number] = _OUTRUN
    return answers


def _alone(part: _Part) -> ChangeAnswer:
    if part.refused is not None:
        return ChangeAnswer(refused=f"{part.why} (SQLSTATE {part.refused})")
    (answer,) = _answers(part, 1)
    return answer
