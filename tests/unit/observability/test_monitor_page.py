"""The Python of docs/how-to/monitor.md, run; and what it serves, asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "monitor.md"
SERVING, QUIET, ASKING = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def execute(block: str) -> dict[str, Any]:
    """Run a block as a module would be, and return its names."""
    names: dict[str, Any] = {"__name__": "how_to"}
    exec(compile(block, "how-to", "exec"), names)  # noqa: S102 - the page's own code
    return names


async def test_the_app_of_the_page_serves_metrics_and_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that it ran is counted; it lives, is ready, and is neither ready nor dead while it drains."""
    monkeypatch.setenv("BACKBURNER_URL", "memory://")
    names, ask = execute(SERVING), execute(ASKING)["ask"]
    app, bb = names["app"], names["bb"]
    transport = httpx.ASGITransport(app)
    async with (
        names["lifespan"](app),
        httpx.AsyncClient(transport=transport, base_url="http://shop", follow_redirects=True) as http,
    ):
        assert await (await bb.create_task(names["greet"]("Ada"))) == "hello, Ada"
        metrics = (await http.get("/metrics")).text
        assert 'backburner_jobs_settled_total{kind="greet",outcome="completed",queue="default"} 1.0' in metrics
        assert "backburner_store_readable 1.0" in metrics
        assert 'backburner_nodes{state="working"} 1.0' in metrics
        assert [(await http.get(f"/health/{probe}")).status_code for probe in ("live", "ready")] == [200, 200]
        assert await ask(bb) == []
        await bb.drain()
        assert [(await http.get(f"/health/{probe}")).status_code for probe in ("live", "ready")] == [200, 503]
        assert await ask(bb) == ["draining: it takes no more work"]


async def test_one_that_reads_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows nothing of a store, and needs none."""
    monkeypatch.setenv("BACKBURNER_URL", "memory://")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(execute(QUIET)["quiet"]), base_url="http://shop"
    ) as http:
        answer = await http.get("/")
    assert answer.status_code == 200
    assert "backburner_store_readable 0.0" not in answer.text
