"""`def` jobs in processes of their own: one child a run, reused, killed when need be, never a pickle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner import Cancel, Reject, Retry, Snooze
from backburner.errors import ClaimLost, NotAJob, NotRunning, PayloadNotReadable, ProcessDied, ResultNotStorable
from backburner.jobs.child_memory import LEAK
from backburner.jobs.kit import Kit
from backburner.jobs.process_place import place_of
from backburner.jobs.processes import ChildError, Processes, Work
from backburner.model.clock import SystemClock
from backburner.resilience.retry_after import retry_after
from tests.chaos.programs import process_jobs as jobs
from tests.unit.jobs.told import Ear, seeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.jobs.job import Job
    from backburner.model.job import NewJob


class Told:
    """A host that remembers."""

    def __init__(self) -> None:
        self.numbers: list[tuple[int, int | None]] = []
        self.texts: list[str] = []
        self.jobs: list[NewJob] = []
        self.refusal: Exception | None = None
        self.heard = asyncio.Event()

    def begin(self) -> None:
        """It has a process now."""

    def progress(self, done: int, total: int | None) -> None:
        self.numbers.append((done, total))
        self.heard.set()

    async def checkpoint(self, text: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.texts.append(text)

    def then(self, job: NewJob) -> None:
        self.jobs.append(job)


class Stage:
    """Processes, and a short way to run a job in them."""

    def __init__(self, limit: int) -> None:
        self.kit = Kit(SystemClock(), Ear(), seeded())
        self.processes = Processes(limit, kit=self.kit)
        self.host = Told()

    def work(self, job: Job[Any, Any], args: str = "{}", **fields: object) -> Work:
        definition = job.definition
        work = Work(
            place=place_of(definition.fn, definition.kind),
            id="a",
            kind=definition.kind,
            queue="default",
            attempt=1,
            token=7,
            args=args,
            result_limit=1 << 20,
            argument_limit=1 << 18,
        )
        return msgspec.structs.replace(work, **fields)

    async def run(self, job: Job[Any, Any], args: str = "{}", **fields: object) -> str:
        return await self.processes.run(self.work(job, args, **fields), self.host)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Two processes at most."""
    made = Stage(2)
    yield made
    await made.processes.close()


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def gone(*pids: int) -> None:
    """Wait until processes that are nobody's children here have died."""
    for pid in pids:
        while lives(pid):
            turn = asyncio.Event()
            asyncio.get_running_loop().call_later(0.005, turn.set)
            await turn.wait()


# ---- runs ----------------------------------------------------------------------------------------------------------


async def test_a_result_comes_back_as_json(stage: Stage) -> None:
    """A job gets its stored arguments and answers JSON text."""
    assert await stage.run(jobs.double, '{"number": 4}') == "8"


async def test_a_child_is_reused_and_is_its_own_group(stage: Stage) -> None:
    """Runs one after the other share a child, which leads a group and session of its own and reads nothing."""
    first = await stage.run(jobs.where)
    pid, group, session, read = map(int, first.strip("[]").split(","))
    assert pid == group == session != os.getpid()
    assert read == 0
    assert await stage.run(jobs.where) == first


async def test_no_more_children_than_the_limit(stage: Stage) -> None:
    """Many runs share `limit` children, first come first served."""
    runs = [stage.run(jobs.where, id=str(number)) for number in range(10)]
    assert len(set(await asyncio.gather(*runs))) == 2


async def test_a_run_has_what_a_run_has(stage: Stage) -> None:
    """Progress, checkpoints and follow-ups reach the host; a checkpoint is saved when it returns."""
    text = await stage.run(jobs.tell, headers={"trace": "x"}, checkpoint='{"page":1}', attempt=3)
    name = stage.host.jobs[0].id
    assert text == (f'["a","tell",3,7,"default",{{"trace":"x"}},{{"page":1}},{{"page":2}},"{name}"]')
    assert stage.host.numbers == [(1, 4)]
    assert stage.host.texts == ['{"page":2}']
    follow_up = stage.host.jobs[0]
    assert (follow_up.kind, follow_up.args, follow_up.delay) == ("double", '{"number":21}', 5_000_000)
    assert follow_up.headers == '{"trace":"x"}'


async def test_a_refused_checkpoint_is_raised_in_the_job(stage: Stage) -> None:
    """What the host raises is raised where the job asked."""
    stage.host.refusal = ClaimLost("it runs elsewhere")
    assert await stage.run(jobs.checkpoint, '{"text": "x"}') == '"ClaimLost: it runs elsewhere"'


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("state", "NotInThisProcess: ask runs in a process of its own, without what the engine's lifespan= opened"),
        ("complete", "NotInThisProcess: ask runs in a process of its own, where complete(tx=) has no engine"),
        ("progress", "InvalidOption: progress takes whole numbers from 0"),
        ("then", "NotACall: "),
    ],
)
async def test_what_a_process_job_cannot_have(stage: Stage, what: str, said: str) -> None:
    """It is refused by name, saying what to do instead."""
    assert said in await stage.run(jobs.ask, f'{{"what": "{what}"}}')


async def test_a_run_sees_that_it_is_to_stop(stage: Stage) -> None:
    """`stopping` is told while the job runs."""
    run = asyncio.ensure_future(stage.run(jobs.wait_for_stop))
    await stage.host.heard.wait()
    stage.processes.stopping("a")
    assert await run == '"stopped"'


async def test_a_run_that_waits_need_not_begin(stage: Stage) -> None:
    """Cancelled before a process was free for it, a run ends there and then, and harms no other."""
    busy = [asyncio.ensure_future(stage.run(jobs.wait_for_stop, id=name)) for name in "bc"]
    waits = asyncio.ensure_future(stage.run(jobs.double, '{"number": 1}'))
    await stage.host.heard.wait()
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    for name in "bc":
        stage.processes.stopping(name)
    assert await asyncio.gather(*busy) == ['"stopped"', '"stopped"']


async def test_the_log_is_written_here(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """What a job logs comes through this process's loggers, with its fields and as text what has no other form."""
    caplog.set_level(logging.DEBUG)
    await stage.run(jobs.log)
    info, error = (record for record in caplog.records if record.name == "backburner.job")
    fields = info.__dict__["backburner"]
    assert (info.levelname, fields["event"], fields["id"], fields["size"]) == ("INFO", "resized", "a", 3)
    assert fields["huge"] == str(2**70)
    assert fields["torn"] == "'\\udc80'"
    assert "Trouble: seen" in error.__dict__["backburner"]["exception"]


async def test_prints_are_no_part_of_the_protocol(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    """What a job prints comes out as it is, before its run ends."""
    assert await stage.run(jobs.shout, '{"text": "ahoy"}') == "null"
    out, err = capfd.readouterr()
    assert "ahoy\n" in out
    assert "\x00\x00\x00\x05below\n" in out
    assert "ahoy\n" in err


async def test_dependencies_are_opened_in_the_child(stage: Stage) -> None:
    """Asynchronous ones by one task on a loop that stands still while the job runs, so that it may run its own."""
    assert await stage.run(jobs.provided, '{"word": "x"}') == '["outer","inner","x"]'
    with pytest.raises(ChildError) as caught:
        await stage.run(jobs.provided, '{"word": "fail"}')
    assert caught.value.kind is jobs.Closed
    assert "LookupError('fail')" in caught.value.account.message


# ---- errors --------------------------------------------------------------------------------------------------------


async def test_an_error_comes_back_whole(stage: Stage) -> None:
    """Type, message, traceback, fingerprint, and the class itself, for the retry policy's rules."""
    with pytest.raises(ChildError) as caught:
        await stage.run(jobs.fail, '{"how": "own"}')
    error = caught.value
    assert error.kind is jobs.Trouble
    assert error.account.error == "tests.chaos.programs.process_jobs.Trouble"
    assert error.account.message == "no luck"
    assert ", in fail\n    raise {" in error.account.traceback
    assert len(error.account.fingerprint) == 12


async def test_a_class_this_process_does_not_know(stage: Stage) -> None:
    """The nearest class that it knows stands in; nothing is imported to find more."""
    with pytest.raises(ChildError) as caught:
        await stage.run(jobs.fail, '{"how": "unknown"}')
    assert caught.value.account.error == "tests.chaos.programs.process_jobs.Stranger"
    assert caught.value.kind is jobs.Trouble


async def test_what_the_other_side_asked_for_comes_too(stage: Stage) -> None:
    """A ``Retry-After`` is as good from a process; without one there is none."""
    with pytest.raises(ChildError) as caught:
        await stage.run(jobs.fail, '{"how": "busy"}')
    assert retry_after(caught.value, 0) == 90_000_000
    with pytest.raises(ChildError) as caught:
        await stage.run(jobs.fail, '{"how": "own"}')
    assert retry_after(caught.value, 0) is None


async def test_signals_come_as_themselves(stage: Stage) -> None:
    """Retry, Snooze, Reject and Cancel, with their reasons and delays."""
    with pytest.raises(Retry, match="later") as retry:
        await stage.run(jobs.fail, '{"how": "retry"}')
    with pytest.raises(Snooze, match="not yet") as snooze:
        await stage.run(jobs.fail, '{"how": "snooze"}')
    assert (retry.value.delay, snooze.value.delay) == (90_000_000, 5_000_000)
    with pytest.raises(Reject, match="never"):
        await stage.run(jobs.fail, '{"how": "reject"}')
    with pytest.raises(Cancel, match="enough"):
        await stage.run(jobs.fail, '{"how": "cancel"}')


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("exit", SystemExit, "3"),
        ("stop", RuntimeError, "the job raised StopIteration"),
        ("surrogate", ValueError, "?\N{SYMBOL FOR NULL}"),
    ],
)
async def test_whatever_is_raised_is_told(stage: Stage, how: str, kind: type[BaseException], message: str) -> None:
    """Also what ends programs, what no future can carry, and what no text can."""
    with pytest.raises(ChildError) as caught:
        await stage.run(jobs.fail, f'{{"how": "{how}"}}')
    assert (caught.value.kind, caught.value.account.message) == (kind, message)
    assert len(stage.processes._idle) == 1


async def test_an_interrupt_is_one(stage: Stage) -> None:
    """KeyboardInterrupt counts as an interruption, so it comes as itself."""
    with pytest.raises(KeyboardInterrupt):
        await stage.run(jobs.fail, '{"how": "interrupt"}')


async def test_what_cannot_be_stored_or_read(stage: Stage) -> None:
    """Results and arguments are judged in the child, in the same words as elsewhere."""
    with pytest.raises(ChildError, match="result") as caught:
        await stage.run(jobs.ungiven)
    assert caught.value.kind is ResultNotStorable
    with pytest.raises(ChildError, match=r"returned 2,000,002 bytes; the limit is 1,048,576"):
        await stage.run(jobs.big, '{"size": 2000000}')
    assert len(await stage.run(jobs.big, '{"size": 1000000}')) == 1_000_002
    with pytest.raises(ChildError, match="stored argument number") as caught:
        await stage.run(jobs.double, '{"number": "x"}')
    assert caught.value.kind is PayloadNotReadable


async def test_a_module_that_cannot_be_imported(stage: Stage) -> None:
    """The run fails with the import's own error, and that child is not used again."""
    place = place_of(jobs.double.fn, "double")
    lost = type(place)("tests.no_such_module", None, main=False, name="double", kind="double")
    with pytest.raises(ChildError, match=r"No module named 'tests\.no_such_module'") as caught:
        await stage.run(jobs.double, place=lost)
    assert caught.value.kind is ModuleNotFoundError
    assert not stage.processes._idle
    moved = type(place)(place.module, None, main=False, name="halve", kind="halve")
    with pytest.raises(ChildError, match=r"halve is not in tests\.chaos\.programs\.process_jobs"):
        await stage.run(jobs.double, place=moved)


def test_a_job_that_no_process_could_find() -> None:
    """One declared inside a function is refused where it is declared."""
    with pytest.raises(NotAJob, match="inside a function"):
        place_of(lambda: None, "nowhere")


# ---- deaths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "said"), [("exit", "exited with status 3"), ("kill", "killed by signal 9")])
async def test_a_death_ends_its_run_and_no_other(stage: Stage, how: str, said: str) -> None:
    """The run whose child dies fails at once, saying how; beside it and after it others run."""
    beside = asyncio.ensure_future(stage.run(jobs.wait_for_stop, id="b"))
    await stage.host.heard.wait()
    with pytest.raises(ProcessDied, match=said):
        await stage.run(jobs.die, f'{{"how": "{how}"}}')
    assert await stage.run(jobs.double, '{"number": 1}') == "2"
    stage.processes.stopping("b")
    assert await beside == '"stopped"'


async def test_a_child_that_dies_without_work_is_replaced(stage: Stage) -> None:
    """Nobody's run is charged for it."""
    pid = int((await stage.run(jobs.where)).strip("[]").split(",")[0])
    os.kill(pid, signal.SIGKILL)
    await stage.processes._idle[0].gone
    assert await stage.run(jobs.double, '{"number": 1}') == "2"


async def test_cancelling_kills_whatever_it_is_doing(stage: Stage, tmp_path: Path) -> None:
    """A job that never returns and lets no signal through is killed at once, with what it started."""
    run = asyncio.ensure_future(stage.run(jobs.hang, f'{{"folder": "{tmp_path}"}}'))
    await stage.host.heard.wait()
    child, *others = map(int, (tmp_path / "pids").read_text().split())
    assert all(map(lives, (child, *others)))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not lives(child)
    await gone(*others)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_to_everybody_are_the_engines(stage: Stage, number: signal.Signals) -> None:
    """What a terminal, or an init system, sends to all processes of a service ends no run: the engine decides."""
    run = asyncio.ensure_future(stage.run(jobs.wait_for_stop))
    await stage.host.heard.wait()
    os.kill(stage.processes._busy["a"].pid, number)
    stage.processes.stopping("a")
    assert await run == '"stopped"'


async def test_a_fork_keeps_no_run_alive(stage: Stage, tmp_path: Path) -> None:
    """A child's death ends its run at once, though a process it forked lives on with all it held."""
    with pytest.raises(ProcessDied, match="exited with status 7"):
        await stage.run(jobs.fork_and_die, f'{{"folder": "{tmp_path}"}}')
    fork = int((tmp_path / "fork").read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(fork, signal.SIGKILL)


async def test_a_fork_that_returns_answers_nothing(stage: Stage) -> None:
    """Of a job that forks and returns in both processes only its own is heard; the copy ends."""
    pid = int(await stage.run(jobs.fork_and_return))
    assert pid == stage.processes._idle[0].pid
    assert await stage.run(jobs.double, '{"number": 1}') == "2"


async def test_a_leak_costs_the_child_not_the_machine(stage: Stage) -> None:
    """What a kind's first run loads stays; a child that grows beyond `LEAK` after that is replaced."""
    megabytes = LEAK >> 20
    loaded = await stage.run(jobs.leak, f'{{"megabytes": {megabytes + 10}}}')
    assert await stage.run(jobs.leak, '{"megabytes": 1}') == loaded
    assert await stage.run(jobs.leak, f'{{"megabytes": {megabytes}}}') == loaded
    assert await stage.run(jobs.leak, '{"megabytes": 1}') != loaded


async def test_closing_leaves_nothing(tmp_path: Path) -> None:
    """At the end idle children go by themselves, a busy one is killed, and nothing more is taken."""
    stage = Stage(2)
    await stage.run(jobs.double, '{"number": 1}', id="b")
    busy = asyncio.ensure_future(stage.run(jobs.hang, f'{{"folder": "{tmp_path}"}}'))
    await stage.host.heard.wait()
    await stage.run(jobs.double, '{"number": 1}', id="b")
    idle = stage.processes._idle[0]
    before = open_files()
    await stage.processes.close()
    with pytest.raises(ProcessDied, match="signal 9"):
        await busy
    assert idle._process.returncode == 0
    assert before - open_files() == 6  # of each a socket, a pipe and a pidfd
    with pytest.raises(NotRunning):
        await stage.run(jobs.double, '{"number": 1}')
