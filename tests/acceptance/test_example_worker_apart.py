"""The example whose workers are apart: the lines of its Procfile as processes on PostgreSQL, and a killed one on a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.programs import EXAMPLES, PATIENCE, Program, Site
from tests.stores import postgres_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.postgres import Schema

LINES = dict(
    line.split(": ", 1) for line in (EXAMPLES / "worker_apart" / "Procfile").read_text("utf-8").splitlines() if line
)
REPORT = {"title": "May", "pages": 3, "to": "ada@example.org"}


def test_the_web_stores_and_workers_run(postgres_schema: Schema, tmp_path: Path) -> None:
    """All that the Procfile starts share the work: the web runs nothing, each worker its own queue."""
    environ = {"BACKBURNER_URL": postgres_url(postgres_schema)}
    with Site(LINES["web"], tmp_path, environ) as web:
        job = web.browser.post("/reports", json=REPORT).json()["job"]
        assert web.browser.get(f"/reports/{job}").json()["state"] == "waiting"
        with (
            Program(LINES["mail"], tmp_path, environ) as mail,
            Program(LINES["reports"], tmp_path, environ) as reports,
        ):
            reports.hear("May: page 3")
            mail.hear("mail to ada@example.org: May is ready")
            assert web.browser.get(f"/reports/{job}", params={"wait": PATIENCE}).json() == {
                "state": "completed",
                "progress": [3, 3],
                "report": "May, 3 pages",
            }
            assert [worker.stop()[0] for worker in (mail, reports)] == [0, 0]
        assert web.browser.get("/reports/none").status_code == 404
        _, said = web.stop()
        assert ("shutdown complete" in said, "page" in said) == (True, False)


def test_another_worker_finishes_what_a_killed_one_began(tmp_path: Path) -> None:
    """Killed with -9 in the middle of a report, a worker is followed by one that goes on after its last checkpoint."""
    environ = {"BACKBURNER_URL": f"sqlite:///{tmp_path}/jobs.db"}
    alone = LINES["reports"].removesuffix(" --processes 2")
    with Site(LINES["web"], tmp_path, environ) as web:
        with Program(alone, tmp_path, environ) as first:
            job = web.browser.post("/reports", json={**REPORT, "pages": 8}).json()["job"]
            first.hear("May: page 2")
            first.process.kill()
        with Program(alone, tmp_path, environ) as second:
            assert web.browser.get(f"/reports/{job}", params={"wait": PATIENCE}).json()["report"] == "May, 8 pages"
            _, said = second.stop()
        assert "May: page 1\n" not in said
        assert "May: page 8\n" in said
