"""Dead letters, for the type checkers: never run, only checked, by mypy and pyright in strict mode.

Where a line must be an error, the checkers are told to expect one: an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_type

from backburner import Backburner, rate
from backburner.dlq.handle import OperationHandle, OperationStatus
from backburner.dlq.importing import Imported
from backburner.dlq.views import Cause, DeadLetter, Forecast, WholeLetter

bb = Backburner("memory://")


async def use(night: datetime) -> None:
    """Find, group, replay, purge, write and read."""
    async for letter in bb.dlq.find(kind="mail", queue={"a", "b"}, tag=["x"], where="args.user.id=7", limit=9):
        assert_type(letter, DeadLetter)
        assert_type(letter.died - letter.created, timedelta)
    assert_type(await bb.dlq.groups(since=night, until=night + timedelta(hours=1)), tuple[Cause, ...])
    assert_type(await bb.dlq.get("id"), WholeLetter)
    assert_type(await bb.dlq.survey(error="Timeout"), Forecast)
    replay = await bb.dlq.replay(fingerprint="f", set={"user.id": 7}, pace=rate(5, 1), reason="up again")
    assert_type(replay, OperationHandle)
    assert_type(await replay, OperationStatus)
    assert_type(await (await bb.dlq.purge(ids=["id"])), OperationStatus)
    assert_type(await bb.dlq.replays.list(active=True), tuple[OperationStatus, ...])
    again = (await bb.dlq.replays.get(replay.id)).choice
    assert_type([line async for line in bb.dlq.export(**again)], list[bytes])
    assert_type(await bb.dlq.import_("letters.jsonl"), Imported)


async def misuse() -> None:
    """Every line here is an error."""
    bb.dlq.find(kinds="mail")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bb.dlq.find(since=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bb.dlq.replay("id")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await bb.dlq.purge(fingerprint=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
