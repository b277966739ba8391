"""A Flask app that answers at once and does the work later: orders are taken here, packed by a worker.

    pip install backburner flask
    cd examples
    flask --app flask_orders run                # takes orders, runs no jobs
    backburner run flask_orders:bb              # in another terminal: packs them

    curl -X POST localhost:5000/orders -H 'content-type: application/json' -d '{"item": "teapot", "quantity": 2}'

Flask has no event loop, so jobs are stored by ``bb.blocking``: when it returns, the job is durable, and it is packed
even if the web server dies in the next moment. Stop the worker, place orders, start it again: nothing is lost.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from uuid import uuid4

from flask import Flask, abort, request, url_for

from backburner import Backburner

#: Both processes are started in one directory, or are told where: orders here, jobs by ``BACKBURNER_URL``.
DATABASE = os.environ.get("ORDERS_DB", "flask_orders.db")

app = Flask(__name__)
bb = Backburner()


@bb.job
def pack(order: str) -> str:
    """Pack an order. It may run twice, after a crash; to pack what is packed changes nothing."""
    with closing(orders()) as db, db:
        db.execute("UPDATE orders SET state = 'packed' WHERE id = ?", (order,))
    return "packed"


@app.post("/orders")
def place() -> tuple[dict[str, str], int]:
    """Take an order; ``?wait=2`` answers when it is packed, if that takes no longer than two seconds."""
    wanted = request.get_json()
    order = uuid4().hex
    with closing(orders()) as db, db:
        db.execute("INSERT INTO orders VALUES (?, ?, ?, 'taken')", (order, wanted["item"], wanted["quantity"]))
    # The job is named after the order: storing it once more, should anybody repeat this, is still one job.
    job = bb.blocking.create_task(pack(order), id=f"pack-{order}", tags=["orders"])
    answer = {"order": order, "job": job.id, "see": url_for("show", order=order)}
    wait = request.args.get("wait", type=float)
    if wait is None:
        return {**answer, "state": "taken"}, 202
    try:
        return {**answer, "state": bb.blocking.result(job, timeout=wait)}, 201
    except TimeoutError:
        return {**answer, "state": "taken"}, 202


@app.get("/orders/<order>")
def show(order: str) -> dict[str, object]:
    """Show an order."""
    with closing(orders()) as db:
        row = db.execute("SELECT item, quantity, state FROM orders WHERE id = ?", (order,)).fetchone()
    if row is None:
        abort(404)
    return dict(zip(("item", "quantity", "state"), row, strict=True))


def orders() -> sqlite3.Connection:
    """Open the app's own database; backburner's is another."""
    db = sqlite3.connect(DATABASE)
    db.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, item TEXT, quantity INTEGER, state TEXT)")
    return db
