"""Telemetries: what they define is called, what they raise hurts nobody."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner
from backburner.errors import InvalidOption
from backburner.observability.hearing import guard
from backburner.ports.telemetry import Hooks, Telemetry

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from backburner.model.job import Claim, JobRecord, NewJob, Settlement
    from backburner.ports.telemetry import Signal


class Diary(Telemetry):
    """Writes down all it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def headers(self) -> Mapping[str, str]:
        return {"from": "diary"}

    @contextmanager
    def storing(self, calls: int) -> Generator[None]:
        self.lines.append(f"storing {calls}")
        yield
        self.lines.append("stored that")

    def stored(self, jobs: Sequence[NewJob]) -> None:
        self.lines.append(f"new: {' '.join(job.kind for job in jobs)}")

    @contextmanager
    def running(self, claim: Claim) -> Generator[None]:
        self.lines.append(f"runs {claim.kind}")
        try:
            yield
        except ValueError:
            self.lines.append("it raised")
            raise

    def ended(self, claim: Claim, settlement: Settlement | None, seconds: float) -> None:
        assert settlement is not None
        assert seconds >= 0
        self.lines.append(f"ended {claim.kind}: {settlement.state}")

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        self.lines.append(f"settled {job.kind}: {settlement.state}")

    def signal(self, signal: Signal, error: BaseException | None, fields: Mapping[str, object]) -> None:
        del error, fields
        self.lines.append(f"signal {signal}")


class Broken(Telemetry):
    """Raises whatever it is told."""

    def headers(self) -> Mapping[str, str]:
        raise RuntimeError("headers")

    @contextmanager
    def storing(self, calls: int) -> Generator[None]:
        yield
        raise RuntimeError(f"storing {calls}")

    def running(self, claim: Claim) -> Generator[None]:  # type: ignore[override]  # what a user may write by mistake
        raise RuntimeError(f"running {claim.kind}")

    def ended(self, claim: Claim, settlement: Settlement | None, seconds: float) -> None:
        raise RuntimeError(f"ended {claim.kind}, {settlement}, {seconds}")

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        raise RuntimeError(f"settled {job.kind}: {settlement.state}")

    def signal(self, signal: Signal, error: BaseException | None, fields: Mapping[str, object]) -> None:
        raise RuntimeError(f"signal {signal} {error} {fields}")


async def test_a_telemetry_hears_a_job_from_its_call_to_its_end() -> None:
    """Around the storing, at the storing, around the run, at its end, and once that is durable."""
    bb, diary = Backburner("memory://"), Diary()
    bb.instrument(diary)
    carried: list[Mapping[str, str]] = []

    @bb.job
    async def work() -> None:
        from backburner import current_job  # noqa: PLC0415 - a job's own business

        carried.append(current_job().headers)

    async with bb:
        await (await bb.create_task(work()))
        await bb.create_tasks([work(), work()])
        await bb.drain()
    assert diary.lines[2:4] == ["storing 1", "new: work"]
    # It was born running: it may begin before its caller hears that it is stored.
    assert diary.lines.index("runs work") < diary.lines.index("ended work: completed")
    assert diary.lines.index("ended work: completed") < diary.lines.index("settled work: completed")
    assert "stored that" in diary.lines
    assert "storing 2" in diary.lines
    assert "new: work work" in diary.lines
    assert carried[0] == {"from": "diary"}


async def test_what_a_run_raises_passes_through() -> None:
    """A telemetry sees the error of a run, and it stays the run's."""
    bb, diary = Backburner("memory://", retry="none"), Diary()
    bb.instrument(diary)

    @bb.job
    async def fail() -> None:
        raise ValueError("no")

    async with bb:
        handle = await bb.create_task(fail())
        assert await handle.wait() is not None
    assert "it raised" in diary.lines
    assert "settled fail: dead" in diary.lines


async def test_a_telemetry_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Jobs are stored, run and settled all the same, and the log says what was raised."""
    bb = Backburner("memory://")
    bb.instrument(Broken())

    @bb.job
    async def work() -> int:
        return 7

    async with bb:
        assert await (await bb.create_task(work())) == 7
    told = caplog.text
    for method in ("headers", "storing", "running", "ended", "settled", "signal"):
        assert f"RuntimeError: {method}" in told


class Careless(Telemetry):
    """Has jobs carry what cannot travel, and methods without a name."""

    def __init__(self, headers: Any) -> None:  # noqa: ANN401 - anything
        self._headers = headers
        setattr(self, "running", partial(self._refuse))  # noqa: B010 - in place of a method

    def headers(self) -> Mapping[str, str]:
        answer: Mapping[str, str] = self._headers
        return answer

    def _refuse(self, claim: Claim) -> Generator[None]:
        raise RuntimeError(f"running {claim.kind}")


@pytest.mark.parametrize("headers", [None, {"tenant": 7}, {7: "tenant"}])
async def test_headers_that_cannot_travel_hurt_nobody(caplog: pytest.LogCaptureFixture, headers: object) -> None:
    """A telemetry that answers no texts by name is told to the log, and the job is stored without them."""
    bb = Backburner("memory://")
    bb.instrument(Careless(headers))

    @bb.job
    async def work() -> int:
        return 7

    async with bb:
        assert await (await bb.create_task(work())) == 7
    assert "raised in headers" in caplog.text
    assert "raised in running" in caplog.text


def test_what_is_not_defined_is_not_called() -> None:
    """A telemetry without methods leaves every hook empty."""
    hooks = Hooks()
    hooks.add(Telemetry(), guard)
    assert not any(getattr(hooks, name) for name in Hooks.__slots__)


def test_only_telemetries_instrument() -> None:
    """Anything else is refused in words."""
    with pytest.raises(InvalidOption, match="is no Telemetry"):
        Backburner("memory://").instrument(print)  # type: ignore[arg-type]
