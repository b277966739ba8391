"""`backburner db`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from backburner.backends.sqlite.schema import SqliteSchema
from backburner.cli import main, store
from backburner.errors import InvalidOption

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from tests.unit.cli.conftest import Run


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_upgrade_creates_once(url: str, run: Run) -> None:
    """`upgrade` makes the store and says which steps it applied; again, it has nothing to do."""
    first = run("db", "upgrade", "--json")
    assert first.code == 0
    answer = json.loads(first.out)
    assert (answer["schema"], answer["wanted"]) == (0, len(answer["pending"]))
    assert _file(url).exists()
    again = run("db", "upgrade", terminal=True)
    assert (again.code, again.out) == (0, "")
    assert again.err == f"{url}: up to date\n"
    assert run("jobs", "list").code == 3


@pytest.mark.parametrize("command", ["jobs list", "jobs show x", "jobs cancel x", "db check"])
def test_nothing_else_creates(command: str, url: str, run: Run) -> None:
    """Where there is no store, only `upgrade` makes one; all else ends with 4 and names the path."""
    answer = run(*command.split())
    assert (answer.code, answer.out) == (4, "")
    assert str(_file(url)) in answer.err
    assert list(_file(url).parent.iterdir()) == []


@pytest.mark.parametrize("command", ["jobs list", "jobs cancel x", "db check"])
def test_an_old_schema(command: str, url: str, run: Run) -> None:
    """A store whose schema is behind ends with 5 and says what to run."""
    _file(url).touch()
    answer = run(*command.split())
    assert answer.code == 5
    assert "backburner db upgrade" in answer.err


def test_who_named_it(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a store that is not there it is said who named it, with its absolute path, unless the command line did."""
    monkeypatch.chdir(tmp_path)
    for command in (("jobs", "list"), ("events", "list")):
        named = run(*command)
        assert (named.code, named.err.rstrip().split("; ")[-1]) == (4, "BACKBURNER_URL names it")
        told = run(*command, "--url", "sqlite:///here.db")
        assert told.err == f"Error: There is no store at {tmp_path}/here.db: `backburner db upgrade` makes one\n"
    monkeypatch.delenv("BACKBURNER_URL", raising=False)
    result = CliRunner().invoke(main, ["jobs", "list"], env={"BACKBURNER_URL": ""})
    assert result.stderr == (
        f"Error: There is no store at {tmp_path}/backburner.db: `backburner db upgrade` makes one; "
        "neither --url nor BACKBURNER_URL is set, so it was looked for in the current directory\n"
    )


def test_no_store_at_all(url: str, run: Run) -> None:
    """A file that is no store ends with 4, in one line."""
    _file(url).write_bytes(b"not a database, " * 100)
    answer = run("jobs", "list")
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (4, "", 1)


def test_plan(url: str, run: Run) -> None:
    """`plan` prints the SQL an upgrade would run, also where there is no store yet, and makes none."""
    plan = run("db", "plan")
    assert plan.code == 0
    assert "CREATE TABLE" in plan.out.upper()
    assert not _file(url).exists()
    run("db", "upgrade")
    after = run("db", "plan")
    assert (after.code, after.out) == (0, "")
    assert after.err.endswith("up to date\n")


def test_a_plan_for_a_url_from_stdin(url: str, run: Run) -> None:
    """A URL from stdin, which can be read once, will do where there is no store too."""
    plan = run("db", "plan", "--url", "-", typed=f"{url}\n")
    assert (plan.code, plan.out) == (0, run("db", "plan").out)


def test_plan_json(run: Run) -> None:
    """As JSON a plan is one object with the steps, their SQL and checksums."""
    plan = json.loads(run("db", "plan", "--json").out)
    assert [step["version"] for step in plan["pending"]] == list(range(1, plan["wanted"] + 1))
    assert all(step["sql"] and len(step["checksum"]) == 64 for step in plan["pending"])


def test_sql(url: str, run: Run) -> None:
    """`sql` prints the whole schema without touching the store: what a plan for an empty one prints."""
    assert run("db", "sql").out == run("db", "plan").out
    assert not _file(url).exists()


def test_grants(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sql --grants` prints what the store says a role needs, and nothing else."""
    monkeypatch.setattr(SqliteSchema, "grants", lambda _, role: f'GRANT USAGE ON SCHEMA x TO "{role}";\n')
    answer = run("db", "sql", "--grants", "web")
    assert (answer.code, answer.out, answer.err) == (0, 'GRANT USAGE ON SCHEMA x TO "web";\n', "")


def test_a_role_that_cannot_be(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the store refuses is wrong usage."""

    def grants(_: object, role: str) -> str:
        raise InvalidOption(f"{role!r} is no role", option="role")

    monkeypatch.setattr(SqliteSchema, "grants", grants)
    answer = run("db", "sql", "--grants", "a\tb")
    assert (answer.code, answer.out) == (2, "")
    assert "is no role" in answer.err


def test_no_roles(url: str, run: Run) -> None:
    """Where a store knows no roles, asking for grants is wrong usage, and says so."""
    answer = run("db", "sql", "--grants", "web")
    assert (answer.code, answer.out) == (2, "")
    assert f"{url} is a store without roles: there is nothing to grant" in answer.err
    assert not _file(url).exists()


def test_check(shop: str, run: Run) -> None:
    """`check` says where the store is, what survives what, and that its schema is current."""
    answer = run("db", "check", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert (found["store"], found["pending"]) == (shop, [])
    assert found["schema"] == found["wanted"]


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("jobs list", {"create": False, "write": False}),
        ("jobs show 01jd1", {"create": False, "write": False}),
        ("jobs cancel 01jd3 --dry-run", {"create": False, "write": False}),
        ("jobs cancel 01jd3", {"create": False, "write": True}),
        ("db check", {"create": False, "write": False}),
        ("db plan", {"create": False, "write": False}),
        ("db upgrade", {"create": True, "write": True}),
    ],
)
@pytest.mark.usefixtures("shop")
def test_how_a_store_is_opened(command: str, how: dict[str, bool], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading opens for reading, so that a read-only file or role will do; only `upgrade` may create."""
    opened: list[dict[str, bool]] = []
    connect = store.unopened

    def unopened(url: str | None) -> Backend:
        backend = connect(url)
        original = backend.open

        async def open_(*, create: bool, write: bool = True) -> None:
            opened.append({"create": create, "write": write})
            await original(create=create, write=write)

        monkeypatch.setattr(backend, "open", open_)
        return backend

    monkeypatch.setattr(store, "unopened", unopened)
    assert run(*command.split()).code == 0
    assert opened == [how]


def test_memory_is_refused(run: Run) -> None:
    """A memory store lives inside its own process: from outside there is nothing to see."""
    answer = run("jobs", "list", "--url", "memory://")
    assert (answer.code, answer.out) == (2, "")
    assert "lives inside its own process" in answer.err


def test_relative_urls(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path in a URL is one from the working directory."""
    monkeypatch.chdir(_file(url).parent)
    run("db", "upgrade", "--url", "sqlite:///near.db")
    assert (_file(url).parent / "near.db").exists()
    assert str(_file(url).parent / "near.db") in store.unopened("sqlite:///near.db").address
