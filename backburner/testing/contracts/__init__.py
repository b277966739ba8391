"""The contract of a store, as tests: what every sentence of `backburner.ports` says, proved on a store.

A store's author writes a `Harness` (see `backburner.testing.harness`), a fixture named ``harness`` that makes one, and
a subclass of each class here whose name begins with ``Test``:

    class TestInserting(contracts.InsertingContract): ...

The tests are coroutines marked for anyio's pytest plugin. For failures that show their values, call
``pytest.register_assert_rewrite("backburner.testing.contracts")`` in ``conftest.py`` before importing anything here.
"""

from backburner.testing.contracts.admin import AdminContract
from backburner.testing.contracts.births import BirthContract
from backburner.testing.contracts.claiming import ClaimingContract
from backburner.testing.contracts.fencing import FencingContract
from backburner.testing.contracts.gates import GateContract
from backburner.testing.contracts.inserting import InsertingContract
from backburner.testing.contracts.living import LifeContract
from backburner.testing.contracts.nodes import NodeContract
from backburner.testing.contracts.notifying import NotifierContract
from backburner.testing.contracts.queues import QueueContract
from backburner.testing.contracts.reading import ReadingContract
from backburner.testing.contracts.recovering import RecoveringContract
from backburner.testing.contracts.settling import SettlingContract

__all__ = [
    "AdminContract",
    "BirthContract",
    "ClaimingContract",
    "FencingContract",
    "GateContract",
    "InsertingContract",
    "LifeContract",
    "NodeContract",
    "NotifierContract",
    "QueueContract",
    "ReadingContract",
    "RecoveringContract",
    "SettlingContract",
]
