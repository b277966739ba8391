"""The Flask example: orders are taken without a loop, and packed by a worker in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient

PROGRAM = Path(__file__).parents[2] / "examples" / "flask_orders.py"
ORDER = {"item": "teapot", "quantity": 2}
PATIENCE = 30


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """Bring a client of the app, on stores of its own."""
    monkeypatch.setenv("ORDERS_DB", str(tmp_path / "orders.db"))
    monkeypatch.setenv("BACKBURNER_URL", f"sqlite:///{tmp_path}/jobs.db")
    spec = spec_from_file_location("flask_orders", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.app
    yield app.test_client()
    module.bb.blocking.close()


def test_an_order_is_taken_at_once_and_packed_by_the_worker(client: FlaskClient) -> None:
    """Without a worker an order waits; once one runs it is packed, and so are those that waited."""
    taken = client.post("/orders", json=ORDER)
    assert taken.status_code == 202
    assert taken.json is not None
    assert taken.json["state"] == "taken"
    assert client.post("/orders?wait=0.05", json=ORDER).status_code == 202

    worker = subprocess.Popen(
        [sys.executable, "-m", "backburner", "run", "flask_orders:bb"],
        cwd=PROGRAM.parent,
        env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[1])},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        packed = client.post(f"/orders?wait={PATIENCE}", json=ORDER)
    finally:
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, errors
    assert packed.status_code == 201, errors
    assert packed.json is not None
    assert packed.json["state"] == "packed"
    for order in (taken.json, packed.json):
        assert client.get(order["see"]).json == {**ORDER, "state": "packed"}


def test_an_order_nobody_placed_is_not_found(client: FlaskClient) -> None:
    """What was never ordered is not shown."""
    assert client.get("/orders/none").status_code == 404
