"""Jobs declared in modules that know no engine, renamed, and found by their kind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, Registry, current_job
from backburner.errors import DuplicateKind, InvalidOption, NotAJob, UnknownKind

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_module_declares_jobs_without_an_engine(make: Callable[..., Backburner]) -> None:
    """`Registry("mail")` declares; the engine that is given it stores and runs `mail.send`."""
    mail = Registry("mail")

    @mail.job
    async def send(to: str) -> str:
        return f"{current_job().kind} to {to}"

    plain = Registry()

    @plain.job(queue="default")
    def ping() -> str:
        return current_job().kind

    bb = make(jobs=[mail, plain])
    async with bb:
        assert await (await bb.create_task(send("ada"))) == "mail.send to ada"
        assert await (await bb.create_task(ping())) == "ping"


async def test_what_is_declared_later_is_taken_up(make: Callable[..., Backburner]) -> None:
    """A registry may gain jobs after the engine was made, and while it runs."""
    mail = Registry("mail")
    bb = make(jobs=[mail])

    @mail.job
    async def early() -> str:
        return "early"

    async with bb:

        @mail.job
        async def late() -> str:
            return "late"

        assert [await (await bb.create_task(call)) for call in (early(), late())] == ["early", "late"]


async def test_one_registry_may_belong_to_several_engines(make: Callable[..., Backburner]) -> None:
    """Two engines, each on its own store or on one, run the same jobs."""
    mail = Registry("mail")

    @mail.job
    async def send() -> str:
        return "sent"

    first, second = make(jobs=[mail]), make(jobs=[mail])
    async with first, second:
        assert await (await first.create_task(send())) == "sent"
        assert await (await second.create_task(send())) == "sent"


async def test_a_job_of_no_registry_here_is_refused(bb: Backburner) -> None:
    """A call of a registry's job says what to do when the engine was not given that registry."""
    mail = Registry("mail")

    @mail.job
    async def send() -> None: ...

    async with bb:
        with pytest.raises(UnknownKind, match=r"mail\.send .* give the engine its Registry"):
            await bb.create_task(send())


async def test_a_call_of_a_registry_runs_here_without_any_engine() -> None:
    """Awaited directly, a registry's call is the plain function."""
    mail = Registry("mail")

    @mail.job
    async def send(to: str) -> str:
        return to

    assert await send("ada") == "ada"


def test_two_of_one_name_are_refused_naming_both_places(make: Callable[..., Backburner]) -> None:
    """Within a registry, between registries, and between a registry and an engine."""
    mail, more = Registry("mail"), Registry("mail")

    def declare(where: Registry | Backburner, name: str | None = None) -> None:
        @where.job(name=name)
        async def send() -> None: ...

    both = r"send is registered twice: .*test_registries\.py:\d+ and .*test_registries\.py:\d+; give one another name"
    declare(mail)
    with pytest.raises(DuplicateKind, match=both):
        declare(mail)
    declare(more)
    with pytest.raises(DuplicateKind, match=both):
        make(jobs=[mail, more])
    bb = make(jobs=[mail])
    declare(bb)
    with pytest.raises(DuplicateKind, match=both):
        declare(bb, "mail.send")


async def test_an_alias_keeps_what_was_stored_under_the_old_name(make_sqlite: Callable[..., Backburner]) -> None:
    """Renamed with ``aliases=``, a job still runs what waits under its old kind."""
    before = make_sqlite(run=False)

    @before.job
    async def send_mail(to: str) -> str:
        raise AssertionError(to)

    async with before:
        old = await before.create_task(send_mail("ada"))

    after = make_sqlite()

    @after.job(aliases=["send_mail"])
    async def send_message(to: str) -> str:
        return f"{current_job().kind}: {to}"

    async with after:
        assert await after.handle(old.id, send_message) == "send_mail: ada"
        new = await after.create_task(send_message("eve"))
        assert await new == "send_message: eve"
        assert (await new.status()).kind == "send_message"


async def test_without_the_alias_it_waits_for_a_node_that_knows_it(make_sqlite: Callable[..., Backburner]) -> None:
    """A kind that nobody here knows is not failed: it waits, and runs where it is known again."""
    before, without = make_sqlite(run=False), make_sqlite()

    @before.job
    async def renamed() -> str:
        raise AssertionError

    @without.job
    async def other() -> str:
        return "other"

    async with before:
        old = await before.create_task(renamed())
    async with without:
        assert await (await without.create_task(other())) == "other"
        status = await without.handle(old.id, other).status()
        assert (status.state, status.attempt) == ("waiting", 0)
    again = make_sqlite()

    @again.job(name="renamed")
    async def known() -> str:
        return "known again"

    async with again:
        assert await again.handle(old.id, known) == "known again"


def test_an_alias_is_a_name_like_any_other(bb: Backburner) -> None:
    """An alias that is another job's kind or alias is refused naming both places."""

    @bb.job
    async def first() -> None: ...

    with pytest.raises(DuplicateKind, match=r"first is registered twice: .*:\d+ and .*:\d+"):

        @bb.job(aliases=["first"])
        async def second() -> None: ...

    with pytest.raises(InvalidOption, match="aliases"):

        @bb.job(aliases="first")
        async def third() -> None: ...


async def test_a_name_of_ones_own(bb: Backburner) -> None:
    """``name=`` is the kind, so that a function may be renamed without any alias."""

    @bb.job(name="reports.weekly")
    async def whatever() -> str:
        return current_job().kind

    async with bb:
        assert await (await bb.create_task(whatever())) == "reports.weekly"


def test_what_is_no_registry(make: Callable[..., Backburner]) -> None:
    """``jobs=`` takes a list of registries, and says so; a registry's jobs are declared by `@registry.job`."""
    with pytest.raises(InvalidOption, match=r"jobs=\[registry\]"):
        make(jobs=Registry("mail"))
    with pytest.raises(InvalidOption, match="jobs takes registries"):
        make(jobs=["mail"])
    with pytest.raises(InvalidOption, match="prefix"):
        Registry("a\nb")
    with pytest.raises(NotAJob, match="a lambda has no name"):
        Registry("mail").job(lambda: None)


SCRIPT = """
import asyncio
from backburner import Backburner, current_job

bb = Backburner("sqlite:///script.db")

@bb.job
async def double(n: int) -> int:
    assert __name__ == "__main__"
    return 2 * n

@bb.job(executor="process")
def triple(n: int) -> int:
    return 3 * n

async def main() -> None:
    async with bb:
        print(await (await bb.create_task(double(2))), await (await bb.create_task(triple(2))))

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_jobs_of_main(tmp_path: Path) -> None:
    """Jobs of a script that is run as `__main__` work, in processes too; and the next run of the script knows them."""
    (tmp_path / "script.py").write_text(SCRIPT)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "4 6\n"), done.stderr
