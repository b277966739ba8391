"""docs/how-to/alembic.md, done: a real Alembic on a real database, by both of its templates."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from backburner import Backburner
from backburner.errors import SchemaTooOld, StoreDenied
from tests.servers.postgres import fresh

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.servers.postgres import Postgres

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "alembic.md"
INCLUDE, CONFIGURE, REVISION, ENGINE = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table

metadata = MetaData()
Table("orders", metadata, Column("id", Integer, primary_key=True))
"""


class Project:
    """An app with models, migrations, and a database."""

    def __init__(self, folder: Path, url: str, template: str) -> None:
        self.folder = folder
        self.url = url
        self.run("alembic", "init", "-t", template, "migrations")
        driver = "asyncpg" if template == "async" else "psycopg"
        self.edit("alembic.ini", r"sqlalchemy\.url = .*", f"sqlalchemy.url = {url.replace('://', f'+{driver}://')}")
        (folder / "models.py").write_text(MODELS)
        self.edit("migrations/env.py", "target_metadata = None", "from models import metadata as target_metadata")
        self.edit(
            "migrations/env.py",
            r"context\.configure\(\s*connection=connection, target_metadata=target_metadata\s*\)",
            "context.configure(connection=connection, target_metadata=target_metadata, include_schemas=True)",
        )

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run a program of the environment; return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout if arguments[0] == "backburner" else done.stdout + done.stderr

    def edit(self, file: str, pattern: str, text: str) -> None:
        """Replace what is there once."""
        path = self.folder / file
        edited, count = re.subn(pattern, lambda _: text, path.read_text())
        assert count == 1, path.read_text()
        path.write_text(edited)

    def schemas(self) -> set[str]:
        """Return the schemas there are, without the server's own."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_)'")
            return {name for (name,) in rows}


def follow(project: Project) -> None:
    """Do as steps 1 and 2 of the page say."""
    called = project.folder / "migrations" / "env.py"
    project.edit("migrations/env.py", r"(?=\n\ndef run_migrations_offline)", f"\n\n{INCLUDE}")
    indented = "\n".join(f"    {line}" for line in CONFIGURE.splitlines()).strip()
    project.edit("migrations/env.py", r"context\.configure\(connection=connection.*\)", indented)
    compile(called.read_text(), called, "exec")
    sql = project.run("backburner", "db", "sql", "--url", "postgresql://")
    (project.folder / "migrations" / "backburner_1.sql").write_text(sql)
    (project.folder / "migrations" / "versions" / "b1_backburner.py").write_text(REVISION)


@pytest.fixture(params=["generic", "async"])
def project(request: pytest.FixtureRequest, tmp_path: Path, postgres_database: Postgres) -> Project:
    """Bring an app that is migrated by Alembic, by psycopg or by asyncpg."""
    return Project(tmp_path, postgres_database.url, request.param)


async def test_the_page_does_what_it_says(project: Project) -> None:
    """A revision makes the schema, autogenerate leaves it alone, the engine starts on it with `migrate=False`."""
    follow(project)
    project.run("alembic", "upgrade", "head")
    assert project.schemas() == {"public", "backburner"}
    project.run("backburner", "db", "check", "--url", project.url)

    project.run("alembic", "revision", "--autogenerate", "-m", "orders")
    (revision,) = (project.folder / "migrations" / "versions").glob("*_orders.py")
    assert "create_table('orders'" in revision.read_text()
    assert "drop_table" not in revision.read_text().partition("def downgrade")[0]
    project.run("alembic", "upgrade", "head")
    assert "No new upgrade operations detected" in project.run("alembic", "check")

    bb = engine(project.url)
    await works(bb)

    project.run("alembic", "downgrade", "base")
    assert project.schemas() == {"public"}
    with pytest.raises(SchemaTooOld, match="backburner db upgrade"):
        async with bb:
            pass


async def test_the_apps_role_needs_no_more_than_its_grants(project: Project) -> None:
    """What `db sql --grants` prints goes through the same `send`; the engine runs jobs as that role."""
    follow(project)
    versions = project.folder / "migrations" / "versions"
    with role(project.url) as (name, url):
        sql = project.run("backburner", "db", "sql", "--grants", name, "--url", "postgresql://")
        (project.folder / "migrations" / "backburner_grants.sql").write_text(sql)
        granting = REVISION.replace('"b1"', '"b2"').replace("= None", '= "b1"').replace("_1.sql", "_grants.sql")
        (versions / "b2_grants.py").write_text(granting)
        project.run("alembic", "upgrade", "b1")
        with pytest.raises(StoreDenied):
            await works(engine(url))
        project.run("alembic", "upgrade", "head")
        await works(engine(url))


def engine(url: str) -> Backburner[None]:
    """Make the page's engine at another address."""
    names: dict[str, Any] = {"Backburner": Backburner}
    exec(re.sub('"postgresql://.*?"', repr(url), ENGINE), names)  # noqa: S102 - the page's own code
    made: Backburner[None] = names["bb"]
    return made


async def works(bb: Backburner[None]) -> None:
    """Run a job."""

    @bb.job(name=fresh())
    async def ship(number: int) -> int:
        return number

    async with bb:
        assert await (await bb.create_task(ship(7))) == 7


@contextmanager
def role(url: str) -> Generator[tuple[str, str]]:
    """Make a role that may connect and no more, and drop it; bring its name and its URL."""
    name = fresh()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal(name)))
        try:
            parts = urlsplit(url)
            where = parts.netloc.rpartition("@")[2]
            yield name, urlunsplit(parts._replace(netloc=f"{name}:{name}@{where}"))
        finally:
            connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
            connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def test_without_the_filter_autogenerate_would_drop_the_tables(project: Project) -> None:
    """What the page warns of is so: its first step is needed."""
    project.run("backburner", "db", "upgrade", "--url", project.url)
    (project.folder / "models.py").write_text("from sqlalchemy import MetaData\n\nmetadata = MetaData()\n")
    project.run("alembic", "upgrade", "head")
    said = project.run("alembic", "check", fails=True)
    assert "remove_table" in said
    assert "schema='backburner'" in said
