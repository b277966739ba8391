"""What an app has of dead letters: ``bb.dlq``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backburner.dlq.choice import filter_of, texts
from backburner.dlq.handle import OperationHandle, Operations
from backburner.dlq.letters import PACE, STOP_AT
from backburner.dlq.ordering import check_limit
from backburner.dlq.views import cause_of, forecast_of, letter_of, whole_letter_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from os import PathLike
    from typing import Unpack

    from backburner.dlq.choice import Choice
    from backburner.dlq.importing import Imported
    from backburner.dlq.letterfile import Secrets
    from backburner.dlq.letters import Letters
    from backburner.dlq.views import Cause, DeadLetter, Forecast, WholeLetter
    from backburner.model.lane import Rate
    from backburner.model.query import JobFilter

__all__ = ["DeadLetters"]

#: Letters a page.
_PAGE = 500


class DeadLetters:
    """Dead letters: found, grouped by cause, replayed, purged, written and read.

    Which are meant is said by the keywords of `Choice`: ``kind="send_email"``, or several; ``queue``, ``tag``, ``error``,
    ``fingerprint``, ``since`` and ``until``, ``where="args.user.id=7"``. All methods raise `InvalidOption` for what these
    cannot mean, before anything is done, and `StoreError`.
    """

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        #: Replays, purges and imports, whoever began them.
        self.replays = Operations(letters.replays)

    def find(
        self, *, limit: int | None = None, after: str | None = None, **choice: Unpack[Choice]
    ) -> AsyncIterator[DeadLetter]:
        """Go through dead letters, greatest id (newest) first: ``async for letter in bb.dlq.find(kind="send_email")``.

        Read page by page: at most ``limit``, those below the id ``after``. Each was dead when it was read.
        """
        return self._found(filter_of(choice), check_limit(limit), after)

    async def groups(self, *, limit: int = 100, **choice: Unpack[Choice]) -> tuple[Cause, ...]:
        """Return the causes that letters died of, by fingerprint: the ``limit`` with the most letters, most first."""
        groups = await self._letters.groups(filter_of(choice), limit=check_limit(limit) or limit)
        return tuple(map(cause_of, groups.groups))

    async def get(self, job_id: str) -> WholeLetter:
        """Return a dead letter with all its attempts; raises `JobNotFound` for what is none."""
        return whole_letter_of(await self._letters.get(job_id))

    async def survey(
        self, *, ids: str | Collection[str] = (), limit: int | None = None, **choice: Unpack[Choice]
    ) -> Forecast:
        """Return what a replay or a purge would meet: a dry run, which changes nothing."""
        where, named = filter_of(choice), texts(ids, "ids")
        return forecast_of(await self._letters.survey(where, ids=named, limit=check_limit(limit)))

    async def replay(
        self,
        *,
        ids: str | Collection[str] = (),
        all: bool = False,  # noqa: A002 - as people say it
        limit: int | None = None,
        set: Mapping[str, object] | None = None,
        unchecked: bool = False,
        attempts: int | None = None,
        pace: str | Rate | None = PACE,
        stop_at: float = STOP_AT,
        reason: str | None = None,
        by: str | None = None,
        **choice: Unpack[Choice],
    ) -> OperationHandle:
        """Begin to bring dead letters back, and return once that is stored; any node carries it out. Await it for its end.

        Meant are the letters that were chosen and are dead by now, the newest ``limit`` of them; or those of ``ids`` (at most
        a thousand); or, said with ``all=True``, every one. None goes twice, whoever else replays, nor when it dies again.
        They go at ``pace``, a rate such as ``"10/s"`` (None: as fast as it goes), and of more than a hundred ten go first,
        whose first attempts are waited for. It stops by itself when a share ``stop_at`` of the first ten, or later of at least
        twenty, first attempts fails again.

        A letter starts over: with no failures, and ``attempts`` in place of its policy's. ``set`` puts values into its
        arguments, by path (``{"user.id": 7}``), checked against what living nodes say of its kind unless ``unchecked``. A
        letter whose unique key another job holds, or whose arguments do not fit, stays dead, and the status tells. Dead
        children go back with their parent. ``reason`` and ``by`` stay on record.

        Raises `NothingMatches`, and `CallRefused` for values that do not fit the newest letters; then nothing was begun.
        """
        begun = await self._letters.replay(
            filter_of(choice),
            ids=texts(ids, "ids"),
            all=all,
            limit=limit,
            set=set,
            unchecked=unchecked,
            attempts=attempts,
            pace=pace,
            stop_at=stop_at,
            reason=reason,
            by=by,
        )
        return OperationHandle(begun, self._letters.replays)

    async def purge(
        self,
        *,
        ids: str | Collection[str] = (),
        all: bool = False,  # noqa: A002 - as people say it
        limit: int | None = None,
        reason: str | None = None,
        by: str | None = None,
        **choice: Unpack[Choice],
    ) -> OperationHandle:
        """Begin to delete dead letters and their history for good, as `replay` brings them back.

        Meant are the same. A letter that is the child of a job which has not ended is kept, and the status tells. Raises
        `NothingMatches`.
        """
        begun = await self._letters.purge(
            filter_of(choice), ids=texts(ids, "ids"), all=all, limit=limit, reason=reason, by=by
        )
        return OperationHandle(begun, self._letters.replays)

    def export(
        self,
        *,
        ids: str | Collection[str] = (),
        limit: int | None = None,
        secrets: Secrets | None = None,
        **choice: Unpack[Choice],
    ) -> AsyncIterator[bytes]:
        r"""Go through the lines of a file of letters, each with its end: ``async for line in …: file.write(line)``.

        JSON Lines: a header, then a whole letter a line, with its history, its tracebacks and its unique key, smallest id
        first. What dies meanwhile is left out. Without a choice or ids every letter is meant, of which `limit` takes the
        newest.

        A letter with secrets is refused, by `InvalidOption`, unless it is said what becomes of them: ``secrets="keep"``
        writes them, and whoever reads the file can too; ``secrets="mask"`` does not, and the file cannot be imported.
        """
        ids = texts(ids, "ids")
        return self._letters.export(filter_of(choice), ids=ids, limit=check_limit(limit), secrets=secrets)

    async def import_(self, path: str | PathLike[str], *, reason: str | None = None, by: str | None = None) -> Imported:
        """Store the letters of a file that `export` wrote, of any store: they are dead here as they were there.

        The whole file is checked first: `LetterFileRefused` names the first line that is broken or foreign, and nothing was
        stored. Repeated, it stores what is missing. Raises `OSError` too.
        """
        return await self._letters.import_(Path(path), reason=reason, by=by)

    async def _found(self, where: JobFilter, limit: int | None, after: str | None) -> AsyncIterator[DeadLetter]:
        left = limit
        while left is None or left > 0:
            page = await self._letters.find(where, limit=_PAGE if left is None else min(_PAGE, left), after=after)
            for job in page.jobs:
                yield letter_of(job)
            if page.after is None:
                return
            after = page.after
            left = None if left is None else left - len(page.jobs)
