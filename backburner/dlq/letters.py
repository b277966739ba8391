"""Dead letters, as an app and an operator deal with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.codec.patching import found
from backburner.dlq import importing
from backburner.dlq.exporting import exported
from backburner.dlq.letterfile import HEADER, line_of
from backburner.dlq.ordering import among_dead, meant, pace_of, patches_of
from backburner.dlq.preparing import living_signatures, patched
from backburner.dlq.replayer import Replayer
from backburner.dlq.replays import Replays
from backburner.dlq.state import IMPORT, MANY, NAMED, PURGE, REPLAY, Patch, Phase, State, read, written
from backburner.dlq.survey import Survey, survey
from backburner.dlq.telling import begun, ended
from backburner.errors import InvalidOption, JobNotFound
from backburner.model.ids import Ids
from backburner.model.job import Attempt, Ending, JobRecord, JobState
from backburner.model.operation import OperationRecord
from backburner.model.query import JobFilter
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from backburner.dlq.importing import Imported
    from backburner.dlq.letterfile import Secrets
    from backburner.dlq.progress import Progress
    from backburner.model.clock import Clock
    from backburner.model.job import JobImage
    from backburner.model.lane import Rate
    from backburner.ports.jobs import Groups, JobAdmin, JobReader, Page
    from backburner.ports.nodes import NodeStore
    from backburner.ports.operations import OperationStore

__all__ = ["PACE", "STOP_AT", "Letters", "OneLetter", "replayed"]

#: A replay's letters, unless told otherwise; and the share of first attempts that stops it.
PACE: Final = "10/s"
STOP_AT: Final = 0.2

#: Operations that are searched for those which name a letter.
_SEARCHED: Final = 100


class OneLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter with all that is kept of it."""

    now: int
    job: JobRecord
    #: Its attempts that did not complete, oldest first, with their tracebacks.
    history: tuple[Attempt, ...]
    #: The newest replays that named it by its id; those by filter are not known.
    replays: tuple[str, ...]

    @property
    def replayed(self) -> bool:
        """Whether it has been replayed before: that set its failures to zero, and left its history."""
        return replayed(self.job, self.history)


def replayed(job: JobRecord, history: Sequence[Attempt]) -> bool:
    """Tell whether a job was brought back as a dead letter: that set its failures to zero, and left its history."""
    return sum(attempt.ending in {Ending.FAILED, Ending.REJECTED} for attempt in history) > job.failures


class Letters:
    """Finds dead letters, groups them by cause, and replays, deletes, writes and reads them.

    A replay or purge is stored first and then carried out, by every node that runs (`Replayer.step`) or right here
    (`Replays.carry`); it outlives whoever asked for it, and is the audit of itself afterwards. Of the filters the states
    are the dead ones. ``tell`` is called with the hint that other nodes should hear, without waiting; ``flaw`` says what
    keeps a job that was read from a file out of any store. All methods raise `StoreError`.
    """

    def __init__(
        self,
        reader: JobReader,
        admin: JobAdmin,
        nodes: NodeStore,
        operations: OperationStore,
        *,
        clock: Clock,
        tell: Callable[[Hint], None],
        flaw: Callable[[JobImage], str | None],
    ) -> None:
        self._reader = reader
        self._admin = admin
        self._nodes = nodes
        self._operations = operations
        self._ids = Ids(clock)
        self._tell = tell
        self._flaw = flaw
        self.replayer = Replayer(reader, admin, nodes, operations, tell=tell)
        self.replays = Replays(operations, self.replayer, clock)

    async def find(self, where: JobFilter | None = None, *, limit: int = 100, after: str | None = None) -> Page:
        """Return the dead letters that match, by id descending, those below ``after``."""
        return await self._reader.find(among_dead(where), limit=limit, after=after)

    async def groups(self, where: JobFilter | None = None, *, limit: int = 100) -> Groups:
        """Return the letters that match by cause, the largest ``limit`` groups, most letters first."""
        return await self._reader.groups(among_dead(where), limit=limit)

    async def get(self, job_id: str) -> OneLetter:
        """Return a dead letter with its history; raises `JobNotFound` for what is none."""
        page = await self._reader.get((job_id,))
        if not page.jobs or page.jobs[0].state is not JobState.DEAD:
            raise JobNotFound(
                f"there is no dead letter {job_id}: `backburner dlq list` shows those there are", job_id=job_id
            )
        operations = await self._operations.find(limit=_SEARCHED)
        naming = [
            operation.id
            for operation in operations.operations
            if operation.action == REPLAY and (state := read(operation.state)) is not None and job_id in state.ids
        ]
        return OneLetter(
            now=page.now, job=page.jobs[0], history=await self._reader.history(job_id), replays=tuple(naming)
        )

    async def survey(
        self, where: JobFilter | None = None, *, ids: Sequence[str] = (), limit: int | None = None
    ) -> Survey:
        """Count what a replay or purge would meet: a dry run, which changes nothing."""
        return await survey(self._reader, self._nodes, among_dead(where), ids, limit)

    async def replay(
        self,
        where: JobFilter | None = None,
        *,
        ids: Sequence[str] = (),
        all: bool = False,  # noqa: A002 - as people say it
        limit: int | None = None,
        set: Mapping[str, object] | None = None,
        unchecked: bool = False,
        attempts: int | None = None,
        pace: str | Rate | None = PACE,
        stop_at: float = STOP_AT,
        reason: str | None = None,
        by: str | None = None,
    ) -> Progress:
        """Begin to bring dead letters back, and return at once; nodes carry it out.

        Meant are the letters that match and are dead by now, the newest ``limit`` of them; or those of ``ids``; or, said
        with ``all``, every one. None goes twice when it dies again. They go at ``pace`` (a rate such as ``10/s``; None is as
        fast as it goes); of more than a hundred ten go first, and their first attempts are waited for. The replay stops by
        itself when the share ``stop_at`` of the first ten, or later of at least twenty, first attempts fails again.

        A letter starts over: its failures are zero, ``attempts`` stand in for its policy's. ``set`` puts values into its
        arguments (``{"user.id": 7}``), checked against the signatures that nodes publish unless ``unchecked``. A letter
        whose unique key another holds, or whose arguments do not fit, stays dead and is told of. Dead children go back
        with their parent.

        Raises `InvalidOption`, `NothingMatches`, and what tells why the newest letters could not be patched.
        """
        if attempts is not None and (type(attempts) is not int or attempts < 1):
            raise InvalidOption(f"attempts is a whole number from 1, not {attempts!r}", option="attempts")
        if not 0 < stop_at <= 1:
            raise InvalidOption(
                f"stop_at is a share above 0, at most 1 (0.2 is a fifth), not {stop_at!r}", option="stop_at"
            )
        letters = await meant(self._reader, where, ids, every=all, limit=limit)
        patches = await self.check(letters.where, ids=letters.ids, set=set, unchecked=unchecked)
        state = State(
            where=letters.where,
            ids=letters.ids,
            left=limit,
            found=letters.found,
            phase=Phase.FIRST if letters.found > MANY else Phase.REST,
            patches=patches,
            unchecked=unchecked,
            attempts=attempts,
            pace=pace_of(pace),
            stop_at=stop_at,
        )
        return await self._begin(REPLAY, state, reason, by)

    async def purge(
        self,
        where: JobFilter | None = None,
        *,
        ids: Sequence[str] = (),
        all: bool = False,  # noqa: A002 - as people say it
        limit: int | None = None,
        reason: str | None = None,
        by: str | None = None,
    ) -> Progress:
        """Begin to delete dead letters and their history for good, and return at once; nodes carry it out.

        Meant are the same as of `replay`. A letter that is the child of a job which has not ended is kept and told of.
        Raises `InvalidOption` and `NothingMatches`.
        """
        letters = await meant(self._reader, where, ids, every=all, limit=limit)
        state = State(where=letters.where, ids=letters.ids, left=limit, found=letters.found)
        return await self._begin(PURGE, state, reason, by)

    async def export(
        self,
        where: JobFilter | None = None,
        *,
        ids: Sequence[str] = (),
        limit: int | None = None,
        secrets: Secrets | None = None,
    ) -> AsyncIterator[bytes]:
        """Go through a file's lines, a header and then a whole letter each, smallest id first.

        Without a filter or ids all are meant. Stable while others die. Raises `InvalidOption` at a letter with secrets if
        nothing is said of ``secrets``.
        """
        if secrets not in {None, "keep", "mask"}:
            raise InvalidOption(f"secrets is 'keep' or 'mask', not {secrets!r}", option="secrets")
        yield HEADER + b"\n"
        async for image in exported(self._reader, among_dead(where), ids, limit):
            yield line_of(image, secrets) + b"\n"

    async def import_(
        self,
        path: Path,
        *,
        reason: str | None = None,
        by: str | None = None,
        seen: Callable[[int], None] = lambda _: None,
    ) -> Imported:
        """Store the letters of a file that `export` wrote: they are dead here as they were there.

        The whole file is checked first: `LetterFileRefused` names the first line that is broken or foreign, and nothing was
        stored. Repeated, it stores what is missing. ``seen`` hears how many letters more have been looked at. Raises
        `OSError` too.
        """
        await importing.checked(path, self._flaw)
        imported = await importing.store(self._admin, path, self._flaw, seen)
        state = State(
            where=JobFilter(),
            found=imported.found,
            stored=imported.stored,
            known=imported.known,
            phase=Phase.ENDED,
            conflicts=dict([*imported.holders.items()][:NAMED]),
        )
        operation = OperationRecord(
            id=self._ids.new(), action=IMPORT, state=written(state), active=False, by=by, reason=reason
        )
        await self._operations.put(operation, (begun(operation), *ended(operation, state)))
        return imported

    async def _begin(self, action: str, state: State, reason: str | None, by: str | None) -> Progress:
        operation = OperationRecord(id=self._ids.new(), action=action, state=written(state), by=by, reason=reason)
        await self._operations.put(operation, (begun(operation),))
        self._tell(Hint.CONTROL)
        return await self.replays.get(operation.id)

    async def check(
        self,
        where: JobFilter | None = None,
        *,
        ids: Sequence[str] = (),
        set: Mapping[str, object] | None = None,
        unchecked: bool = False,
    ) -> tuple[Patch, ...]:
        """Try what is to be set on the newest letters that match, so that a wrong one is refused before anything is stored.

        Raises as `replay` does.
        """
        patches = patches_of(set or {})
        if not patches:
            return ()
        counted = await self.survey(where, ids=ids)
        signatures = await living_signatures(self._nodes)
        if not unchecked and counted.unknown:
            raise InvalidOption(
                f"no living node knows {', '.join(counted.unknown)}, so nobody can check what is set: start a node that "
                "does, or add unchecked=True (--unchecked)",
                option="set",
            )
        for job in counted.sample:
            args = patched(job, patches, None if unchecked else signatures.get(job.kind, ()))
            # What takes the place of a secret is kept as one.
            patches = tuple(Patch(each.path, found(args, each.path)) for each in patches)
        return patches
