"""Carries operations out, one bounded step at a time, on however many nodes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.dlq.gathering import PORTION, gather
from backburner.dlq.judging import judged, stop_reason
from backburner.dlq.preparing import Ready, living_signatures, prepared
from backburner.dlq.state import FIRST, NAMED, PURGE, REPLAY, Mark, Phase, State, read, written
from backburner.dlq.telling import ended
from backburner.errors import StoreError, StoreRefused
from backburner.model.clock import SECOND
from backburner.ports.backend import Hint
from backburner.ports.jobs import Letter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.dlq.gathering import Portion
    from backburner.model.job import JobRecord
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Disposed, JobAdmin, JobReader
    from backburner.ports.nodes import NodeStore
    from backburner.ports.operations import OperationStore

__all__ = ["Replayer"]

#: Operations that a step looks at.
_OPERATIONS: Final = 100
#: Seconds between two looks at first attempts, at locked letters, and at what another driver does quicker.
_PAUSE: Final = 1.0
#: First attempts that are watched at once: enough to judge by, and little to read.
_WATCHED: Final = 200
#: Microseconds that first attempts are watched for once all letters are replayed.
_WATCH: Final = 600 * SECOND
#: The phases in which letters go.
_GOING: Final = frozenset({Phase.FIRST, Phase.REST})


class Replayer:
    """Drives every operation that has something left to do.

    Any number of drivers may work on one operation, and each may die anywhere: all that is known stands in the store,
    and each step begins with reading it. The store replays letters in the very step that compares and sets the
    operation's version, so of two drivers with one portion the second changes nothing, and a letter is taken once. The
    pace holds however many there are, since the operation says from when on, by the store's own time, the next letters
    may go. Only what a step learns afterwards, which letters somebody had locked and who held a key, is written by a
    second write: a driver that dies between the two leaves locked ones dead, and the operation then counts fewer as
    done than were found.

    ``tell`` is called with the hint that other nodes should hear; it does not wait.
    """

    def __init__(
        self,
        reader: JobReader,
        admin: JobAdmin,
        nodes: NodeStore,
        operations: OperationStore,
        *,
        tell: Callable[[Hint], None],
    ) -> None:
        self._reader = reader
        self._admin = admin
        self._nodes = nodes
        self._operations = operations
        self._tell = tell

    async def step(self) -> float | None:
        """Take a step of each operation that is due; return the seconds until the next, None when there is none.

        To be called again then, when a `Hint.CONTROL` comes (an operation began), and once a beat, since hints are lossy.
        Raises `StoreError`; every operation is left as it was or a step further.
        """
        page = await self._operations.find(active=True, limit=_OPERATIONS)
        waits: list[float] = []
        failed: StoreError | None = None
        for operation in page.operations:
            try:
                wait = await self.advance(operation, page.now)
            except StoreError as error:  # it must not keep the others from being carried on
                failed = failed or error
            else:
                waits += [] if wait is None else [wait]
        if failed is not None:
            raise failed
        return min(waits, default=None)

    async def advance(self, operation: OperationRecord, now: int) -> float | None:
        """Take a step of one operation, as read from the store whose now that was; None when nothing is left to do.

        What this version of the code cannot read is left to nodes that can.
        """
        if not operation.active:
            return None
        state = read(operation.state)
        if state is None or operation.action not in {REPLAY, PURGE}:
            return _PAUSE
        if state.phase in _GOING and state.next_at > now:
            return (state.next_at - now) / SECOND
        turned = _turned(await self._look(state, now), now)
        if turned.phase in _GOING and turned.phase is state.phase:
            return await self._dispose(operation, turned)
        if (turned.phase, turned.ok, turned.failed) == (state.phase, state.ok, state.failed):
            return _PAUSE
        return await self._write(operation, turned)

    async def _look(self, state: State, now: int) -> State:
        """Read what became of the first attempts, at most once a pause."""
        if not state.watched or now - state.looked_at < _PAUSE * SECOND:
            return state
        page = await self._reader.get([mark.id for mark in state.watched])
        return judged(state, page.jobs, page.now)

    async def _dispose(self, operation: OperationRecord, state: State) -> float | None:
        """Replay or purge the next letters."""
        portion = await gather(self._reader, operation.action, state, _size(state))
        ready = await self._prepare(operation.action, state, portion.letters)
        while True:
            after = _after(state, operation.action, portion, ready)
            if not ready.letters:
                return await self._write(operation, after)
            if after.phase is Phase.ENDED:
                # It ends with a step of its own, which tells of all that was done.
                after = msgspec.structs.replace(after, phase=state.phase)
            verb = self._admin.replay if operation.action == REPLAY else self._admin.purge
            try:
                answer = await verb(ready.letters, _changed(operation, after))
            except StoreRefused as error:
                if not ready.refuse(error):
                    raise
            else:
                return await self._answered(operation, after, ready.letters, answer)

    async def _prepare(self, action: str, state: State, jobs: Sequence[JobRecord]) -> Ready:
        if action == PURGE:
            return Ready(letters=[Letter(id=job.id, token=job.token) for job in jobs])
        checked = bool(state.patches) and not state.unchecked
        return prepared(jobs, state, await living_signatures(self._nodes) if checked else None)

    async def _answered(
        self, operation: OperationRecord, after: State, letters: Sequence[Letter], answer: Disposed
    ) -> float | None:
        if answer.outrun:
            return _PAUSE
        if len(answer.missed) + len(answer.kept) + len(answer.busy) < len(letters):
            self._tell(Hint.JOBS)
        if answer.busy or answer.kept:
            tokens = {letter.id: letter.token for letter in letters}
            busy = tuple(Mark(job_id, tokens[job_id]) for job_id in answer.busy)
            return await self._remember(operation.id, busy, answer.kept)
        return _until_next(after, answer.now)

    async def _remember(self, operation_id: str, busy: tuple[Mark, ...], kept: Mapping[str, str]) -> float | None:
        """Write down what only the answer told, into whatever has become of the operation since."""
        while True:
            page = await self._operations.get((operation_id,))
            operation = page.operations[0] if page.operations else None
            state = None if operation is None else read(operation.state)
            if operation is None or state is None or state.stopped:
                return None
            conflicts = dict([*state.conflicts.items(), *kept.items()][:NAMED])
            if not busy and conflicts == state.conflicts:
                return _until_next(state, page.now) if operation.active else None
            noted = msgspec.structs.replace(state, conflicts=conflicts, busy=(*state.busy, *busy))
            if busy:
                again = max(state.next_at, page.now + int(_PAUSE * SECOND))
                phase = state.phase if state.phase in {Phase.FIRST, Phase.WAITING} else Phase.REST
                noted = msgspec.structs.replace(noted, phase=phase, next_at=again)
            if await self._operations.swap(_changed(operation, noted)):
                return _until_next(noted, page.now)

    async def _write(self, operation: OperationRecord, state: State) -> float | None:
        if not await self._operations.swap(_changed(operation, state), ended(operation, state)):
            return _PAUSE
        if state.phase is Phase.ENDED:
            return None
        return 0 if state.phase in _GOING else _PAUSE


def _changed(operation: OperationRecord, state: State) -> OperationRecord:
    return msgspec.structs.replace(operation, state=written(state), active=state.phase is not Phase.ENDED)


def _until_next(state: State, now: int) -> float | None:
    match state.phase:
        case Phase.ENDED:
            return None
        case Phase.WAITING | Phase.WATCHING:
            return _PAUSE
        case _:
            return max(0, state.next_at - now) / SECOND


def _size(state: State) -> int:
    """Return how many letters may go now: about as many as the pace allows a second."""
    if state.phase is Phase.FIRST:
        return FIRST
    if state.pace is None:
        return PORTION
    return max(1, min(PORTION, state.pace.limit * SECOND // state.pace.period))


def _turned(state: State, now: int) -> State:
    """Return the state in the phase that follows when what it waits for is over.

    Too many first attempts that failed end it. Where none of the first ten told anything, since they were kept or
    cancelled, the next ten go first.
    """
    stopped = stop_reason(state)
    if stopped:
        return msgspec.structs.replace(state, phase=Phase.ENDED, stopped=stopped)
    match state.phase:
        case Phase.WAITING if not state.watched:
            phase = Phase.REST if state.ok or state.failed else Phase.FIRST
            if state.whole and not state.busy:
                phase = Phase.ENDED
        case Phase.WATCHING if not state.watched or now >= state.until:
            phase = Phase.ENDED
        case _:
            return state
    return msgspec.structs.replace(state, phase=phase)


def _after(state: State, action: str, portion: Portion, ready: Ready) -> State:
    """Return the state once these letters have gone, whatever becomes of each."""
    now, pace, letters = portion.now, state.pace, ready.letters
    watched = state.watched
    if action == REPLAY:
        watched = (*watched, *(Mark(letter.id, letter.token) for letter in letters[: _WATCHED - len(watched)]))
    if state.phase is Phase.FIRST and letters:
        phase = Phase.WAITING
    elif ready.held or not portion.whole:
        phase = state.phase
    else:
        phase = Phase.WATCHING if watched else Phase.ENDED
    return msgspec.structs.replace(
        state,
        phase=phase,
        after=portion.after,
        left=None if state.left is None else state.left - portion.taken,
        whole=portion.whole,
        busy=tuple(ready.held),
        next_at=max(
            now + int(_PAUSE * SECOND) if ready.held else 0,
            0 if pace is None else now + len(letters) * pace.period // pace.limit,
        ),
        watched=watched,
        until=now + _WATCH if portion.whole else 0,
        refused=state.refused + len(ready.refusals),
        refusals=(*state.refusals, *ready.refusals)[:NAMED],
        cut=state.cut + portion.cut,
    )
