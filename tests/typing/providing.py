"""What `Provide` answers, for the type checkers: never run, only checked, by mypy and pyright in strict mode."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager, contextmanager
from datetime import date  # noqa: TC003 - a job's annotations are read where it is declared
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self, assert_type

from backburner import Backburner, Call, Provide

if TYPE_CHECKING:
    import sqlite3
    from asyncio import Lock
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

bb = Backburner("memory://")


class Session:
    """A session, which is its own context manager."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def session() -> AsyncGenerator[Session]:
    """Yield a session."""
    yield Session()


async def session_iterator() -> AsyncIterator[Session]:
    """Yield a session, by an annotation that says less."""
    yield Session()


def sync_session() -> Generator[Session]:
    """Yield a session."""
    yield Session()


def sync_session_iterator() -> Iterator[Session]:
    """Yield a session, by an annotation that says less."""
    yield Session()


@asynccontextmanager
async def managed_session() -> AsyncGenerator[Session]:
    """Yield a session."""
    yield Session()


@contextmanager
def sync_managed_session() -> Generator[Session]:
    """Yield a session."""
    yield Session()


def shared_session() -> Session:
    """Return a session that is left alone."""
    return Session()


async def shared_session_later(session: Session = Provide(session)) -> Session:
    """Return a session that is left alone."""
    return session


def cursor() -> sqlite3.Cursor:
    """Return what can be iterated over, and is itself the value."""
    raise NotImplementedError


class Sessions:
    """An object that is called."""

    async def __call__(self) -> AsyncGenerator[Session]:
        """Yield a session."""
        yield Session()


def factories() -> None:
    """All of these provide a session."""
    assert_type(Provide(session), Session)
    assert_type(Provide(session_iterator), Session)
    assert_type(Provide(sync_session), Session)
    assert_type(Provide(sync_session_iterator), Session)
    assert_type(Provide(managed_session), Session)
    assert_type(Provide(sync_managed_session), Session)
    assert_type(Provide(shared_session), Session)
    assert_type(Provide(shared_session_later), Session)
    assert_type(Provide(Session), Session)
    assert_type(Provide(Sessions()), Session)
    assert_type(Provide(functools.partial(session)), Session)


def others() -> None:
    """A class provides what entering it answers, a function what it returns."""
    directory: str = Provide(TemporaryDirectory[str])
    assert_type(Provide(cursor), "sqlite3.Cursor")
    assert directory


@bb.job
async def report(day: date, db: Session = Provide(session)) -> int:
    """A dependency is a parameter like any other to those who call the plain function, and left out by others."""
    return len(f"{day} {db}")


@bb.job
def thumbnail(path: str, db: Session = Provide(sync_session)) -> str:
    """The same in a thread."""
    return f"{path} {db}"


async def use(day: date, mine: Session) -> None:
    """Leave it out, or give it by name."""
    assert_type(report(day), Call[int])
    assert_type(await report(day, db=mine), int)
    assert_type(await thumbnail("a.png"), str)


async def misuse() -> None:
    """Every line here is an error."""

    async def wrong_type(lock: Lock = Provide(session)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType, reportCallIssue]

    no_factory: object = Provide("postgresql://")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    called: str = Provide(session())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert [wrong_type, no_factory, called]
