"""How-to pages that a reader can follow, followed."""

from __future__ import annotations

import asyncio
import configparser
import importlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from backburner import Backburner, config
from backburner.backends.urls import parse
from backburner.model import duration
from backburner.model.clock import SECOND
from tests.docs.reader import Reader, blocks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.fixture
async def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    """Bring a reader, in an empty folder."""
    async with Reader(tmp_path, monkeypatch) as reader:
        yield reader


async def test_upgrade(reader: Reader) -> None:
    """Jobs of an old version wait where they do not fit, say why, and run where they do."""
    await reader.read(PAGES / "upgrade.md")


def manifests() -> list[dict[str, Any]]:
    """Return what the page on Kubernetes would apply."""
    return [yaml.safe_load(text) for _, text in blocks(PAGES / "kubernetes.md", "yaml")]


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each container, with the pod it is in."""
    pods = [each["spec"]["template"]["spec"] for each in manifests() if "template" in each.get("spec", {})]
    return [(pod, container) for pod in pods for container in pod["containers"]]


def test_manifests_are_whole() -> None:
    """Selectors choose their pods, probes ask the ports that there are, secrets are those of the page."""
    by_kind = {(each["kind"], each["metadata"]["name"]): each for each in manifests()}
    labels = []
    for (kind, _), each in by_kind.items():
        if kind == "Deployment":
            labels.append(each["spec"]["template"]["metadata"]["labels"])
            assert each["spec"]["selector"]["matchLabels"] == labels[-1]
    assert by_kind["PodDisruptionBudget", "shop-worker"]["spec"]["selector"]["matchLabels"] in labels
    for _, container in containers():
        ports = [each["containerPort"] for each in container.get("ports", ())]
        for probe in ("livenessProbe", "readinessProbe"):
            assert not ports or container[probe]["httpGet"]["port"] in ports
        assert {("Secret", each["secretRef"]["name"]) for each in container["envFrom"]} <= by_kind.keys()


def test_settings_are_settings() -> None:
    """Every variable of the page means what it should."""
    (secret,) = [each for each in manifests() if each["kind"] == "Secret"]
    environment = dict(secret["stringData"])
    for _, container in containers():
        environment |= {each["name"]: each["value"] for each in container.get("env", ())}
    settings = config.load(environment)
    assert (settings.run, settings.queues, settings.grace) == (False, {"default": 10, "mail": 5}, 20 * SECOND)
    parse(settings.url, base=PAGES)


def test_a_pod_has_the_time_that_its_stop_takes() -> None:
    """Drain and grace together end before the pod is killed."""
    for pod, container in containers():
        stop = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        if stop[:1] == ["backburner"]:
            grace = {each["name"]: each["value"] for each in container["env"]}["BACKBURNER_GRACE"]
            needed = duration.parse(stop[-1]) + duration.parse(grace)
            assert pod["terminationGracePeriodSeconds"] * SECOND > needed


async def test_a_worker_with_probes(reader: Reader) -> None:
    """An app of nothing but probes and metrics runs jobs, and says how it is."""
    (reader.folder / "jobs.py").write_text(
        "from backburner import Backburner\nbb = Backburner('sqlite:///jobs.db')\n"
        "@bb.job\nasync def greet() -> str:\n    return 'hello'\n"
    )
    await reader.read(PAGES / "kubernetes.md")
    worker = importlib.import_module("worker")
    async with (
        worker.app.router.lifespan_context(worker.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(worker.app), base_url="http://worker") as client,
    ):
        jobs = importlib.import_module("jobs")
        assert await (await jobs.bb.create_task(jobs.greet())) == "hello"
        assert (await client.get("/health/live/")).status_code == 200
        assert (await client.get("/health/ready/")).status_code == 200
        assert "backburner_jobs_settled_total" in (await client.get("/metrics/")).text


async def test_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's job runs, in a process."""
    monkeypatch.setenv("BACKBURNER_URL", f"sqlite:///{tmp_path}/jobs.db")
    (tmp_path / "media.py").write_text(next(blocks(PAGES / "workers.md", "python"))[1])
    monkeypatch.syspath_prepend(tmp_path)
    media = importlib.import_module("media")
    try:
        async with media.bb:
            assert await (await media.bb.create_task(media.thumbnail("a.png", 320))) == "a.png at 320"
    finally:
        del sys.modules["media"]


def test_the_unit_of_systemd() -> None:
    """It is one, and gives the engine longer than its grace to stop."""
    ((_, text),) = blocks(PAGES / "workers.md", "ini")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert shlex.split(service["ExecStart"])[0].endswith("/bin/backburner")
    name, _, value = service["Environment"].partition("=")
    assert int(service["TimeoutStopSec"]) * SECOND > config.load({name: value}).grace


async def test_backup(tmp_path: Path) -> None:
    """A copy made beside a running engine holds what was stored; in it, what ran is charged a crash, and runs again."""
    names: dict[str, Any] = {}
    ((_, text),) = blocks(PAGES / "backup.md", "python")
    exec(text, names)  # noqa: S102 - the page's own code
    runs, copied = asyncio.Event(), asyncio.Event()

    def made(file: str) -> tuple[Backburner[None], Any]:
        bb = Backburner(f"sqlite:///{tmp_path}/{file}")

        @bb.job
        async def work(name: str) -> str:
            runs.set()
            await copied.wait()
            return name

        return bb, work

    bb, work = made("jobs.db")
    async with bb:
        later = await bb.create_task(work("later"), delay=3600)
        now = await bb.create_task(work("now"))
        await runs.wait()
        names["back_up"](str(tmp_path / "jobs.db"), str(tmp_path / "copy.db"))
        copied.set()
        assert await now == "now"
    bb, work = made("copy.db")
    async with bb:
        assert (await bb.handle(later.id, work).status()).state == "scheduled"
        again = bb.handle(now.id, work)
        assert await again == "now"
        assert (await again.status()).crashes == 1
