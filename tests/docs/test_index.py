"""docs/index.md, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.docs.pages import all_blocks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

(APP,) = (block.text for block in all_blocks("python") if block.page == "docs/index.md")


async def test_the_app_of_the_first_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is answered with the id of a job, which is stored by then, and runs."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "index"}
    exec(compile(APP, "docs/index.md", "exec"), names)  # noqa: S102 - the page's own code
    bb, app = names["bb"], names["app"]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        answer = await client.post("/signup", params={"email": "ada@example.org"})
        assert await bb.handle(answer.json()["job"], names["welcome"]) == "welcome, ada@example.org"
