"""The tests that examples have of their own, which show how an app tests itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.programs import EXAMPLES, Program

if TYPE_CHECKING:
    from pathlib import Path


def test_the_examples_own_tests_pass(tmp_path: Path) -> None:
    """Run as their first lines say, they pass, and leave nothing where they stand."""
    before = sorted(EXAMPLES.rglob("*.db"))
    told = {"SHOP_DB": f"{tmp_path}/shop.db", "BACKBURNER_URL": f"sqlite:///{tmp_path}/jobs.db"}
    command = f"python -m pytest -q -p no:cacheprovider {EXAMPLES}/fastapi_shop {EXAMPLES}/from_celery"
    with Program(command, tmp_path, told) as suite:
        code, said = suite.end()
    assert code == 0, said
    assert sorted(EXAMPLES.rglob("*.db")) == before
    assert not (tmp_path / "jobs.db").exists()  # they stored in memory
