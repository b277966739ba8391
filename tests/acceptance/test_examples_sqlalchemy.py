"""The example with SQLAlchemy, run as a program."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "orders_sqlalchemy.py"


def test_orders_are_shipped_once_and_failures_roll_back(tmp_path: Path) -> None:
    """An order ships; one that failed half-way is rolled back and ships at its next attempt; a refused one changes nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "order 1: 2 coffee shipped at attempt 1, 8 left",
        "order 2: 1 tea shipped at attempt 2, 4 left",
        "order 3: not shipped, rejected: not enough tea in stock for 50",
        "2 orders shipped",
    ]
    with closing(sqlite3.connect(tmp_path / "orders.db")) as orders:
        assert orders.execute("SELECT name, stock FROM products ORDER BY name").fetchall() == [
            ("coffee", 8),
            ("tea", 4),
        ]
        assert orders.execute("SELECT id, shipped FROM orders ORDER BY id").fetchall() == [(1, 1), (2, 1), (3, 0)]
    assert (tmp_path / "jobs.db").is_file()
