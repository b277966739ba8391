"""What users write, for the type checkers: never run, only checked, by mypy and pyright in strict mode.

Where a line must be an error, the checkers are told to expect one: an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_type

from backburner import Backburner, Call, Job, JobHandle, JobStatus, RetryPolicy, current_job, exponential

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

bb = Backburner("memory://", queues={"default": 10}, grace=timedelta(seconds=5), keep={"dead": None})


@bb.job
async def send_email(to: str, subject: str = "hi") -> str:
    """Send an email."""
    return f"{to}: {subject}"


@bb.job(queue="mail", retry="standard", timeout=30)
async def send_later(to: str) -> int:
    """Send it later."""
    return len(to)


@bb.job(retry=RetryPolicy(attempts=3, backoff=exponential(1)), executor="thread")
def thumbnail(path: str, size: int) -> bytes:
    """Make a thumbnail."""
    current_job().log.info("working", path=path)
    return path.encode() * size


async def use() -> None:
    """Use the whole surface."""
    assert_type(send_email("ada@example.org"), Call[str])
    later: Job[[str], int] = send_later
    assert_type(later("ada"), Call[int])
    async with bb as entered:
        assert_type(entered, Backburner)
        handle = await bb.create_task(send_email("ada@example.org"), delay=60, tags=["welcome"])
        assert_type(handle, JobHandle[str])
        assert_type(await handle, str)
        assert_type(await send_later("ada"), int)
        assert_type(await thumbnail("a.png", 3), bytes)
        assert_type(await handle.status(), JobStatus)
        assert_type(await handle.wait(timeout=1.0), bool)
        assert_type(await handle.cancel(), bool)
        assert_type(bb.handle("id", send_later), JobHandle[int])
        many = await bb.create_tasks([send_later("a"), send_later("b")], at=datetime.now(UTC))  # noqa: TID251
        assert_type(many, list[JobHandle[int]])
        assert [await one for one in many]


async def misuse() -> None:
    """Every line here is an error."""
    wrong_type = send_email(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    missing = send_email()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    extra = send_email("a", body="b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    no_call: object = await bb.create_task(send_email)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    misspelt = await bb.create_task(send_email("a"), delya=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    no_time = await bb.create_task(send_email("a"), delay="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert [wrong_type, missing, extra, no_call, misspelt, no_time]


def embed() -> AbstractAsyncContextManager[None]:
    """A framework calls the lifespan with its app."""
    return bb.lifespan(object())
