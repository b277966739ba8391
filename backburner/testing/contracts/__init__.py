"""The contract of a store, as tests: what every sentence of `backburner.ports` says, proved on a store.

A store's author writes a `Harness` (see `backburner.testing.harness`), a fixture named ``harness`` that makes one, and
a subclass of each class here. In ``conftest.py``::

    import pytest

    # Failures then show their values; before the first import of the suite.
    pytest.register_assert_rewrite("backburner.testing.contracts")

    from backburner.testing import FakeClock
    from my_store import MyBackend


    class MyHarness:
        def __init__(self, path):
            self.clock = FakeClock()
            self.path = path
            self.backends = []

        @property
        def backend(self):
            return self.backends[0]

        async def second(self):
            backend = MyBackend(self.path, clock=self.clock)
            await backend.open(create=True)
            self.backends.append(backend)
            return backend

        def transaction(self):
            return None

        async def die(self, node):
            for backend in self.backends:
                async with backend.keeper() as keeper:
                    await keeper.abandon(node)


    @pytest.fixture
    def anyio_backend():
        return "asyncio"


    @pytest.fixture
    async def harness(tmp_path):
        harness = MyHarness(tmp_path / "jobs")
        await (await harness.second()).schema.upgrade()
        yield harness
        for backend in harness.backends:
            await backend.close()

And in a test module, once for each name in ``__all__``::

    from backburner.testing import contracts


    class TestInserting(contracts.InsertingContract): ...

The tests are coroutines, marked for the pytest plugin that anyio brings. They move the harness's clock and never sleep.
"""

from backburner.testing.contracts.admin import AdminContract
from backburner.testing.contracts.appending import AppendingContract
from backburner.testing.contracts.backlog import BacklogContract
from backburner.testing.contracts.births import BirthContract
from backburner.testing.contracts.carried_events import CarriedEventContract
from backburner.testing.contracts.cells import CellsContract
from backburner.testing.contracts.children import ChildContract
from backburner.testing.contracts.claiming import ClaimingContract
from backburner.testing.contracts.due import DueContract
from backburner.testing.contracts.event_reading import EventReadingContract
from backburner.testing.contracts.examining import ExaminingContract
from backburner.testing.contracts.expediting import ExpeditingContract
from backburner.testing.contracts.fencing import FencingContract
from backburner.testing.contracts.filtering import FilteringContract
from backburner.testing.contracts.firing import FiringContract
from backburner.testing.contracts.followups import FollowUpContract
from backburner.testing.contracts.gates import GateContract
from backburner.testing.contracts.grouping import GroupingContract
from backburner.testing.contracts.inserting import InsertingContract
from backburner.testing.contracts.job_events import JobEventContract
from backburner.testing.contracts.lanes import LaneContract
from backburner.testing.contracts.leases import LeasesContract
from backburner.testing.contracts.leaving import LeavingContract
from backburner.testing.contracts.ledger import LedgerContract
from backburner.testing.contracts.letters import LettersContract
from backburner.testing.contracts.limits import LimitContract
from backburner.testing.contracts.living import LifeContract
from backburner.testing.contracts.moving import MovingContract
from backburner.testing.contracts.nodes import NodeContract
from backburner.testing.contracts.notes import NoteContract
from backburner.testing.contracts.notifying import NotifierContract
from backburner.testing.contracts.opening import OpeningContract
from backburner.testing.contracts.operations import OperationsContract
from backburner.testing.contracts.parking import ParkingContract
from backburner.testing.contracts.pauses import PauseContract
from backburner.testing.contracts.pulling import PullingContract
from backburner.testing.contracts.queues import QueueContract
from backburner.testing.contracts.rates import RateContract
from backburner.testing.contracts.reading import ReadingContract
from backburner.testing.contracts.recovering import RecoveringContract
from backburner.testing.contracts.schedules import ScheduleContract
from backburner.testing.contracts.settling import SettlingContract
from backburner.testing.contracts.subscribing import SubscribingContract
from backburner.testing.contracts.timing import TimingContract
from backburner.testing.contracts.transactions import TransactionContract
from backburner.testing.contracts.unique import UniqueContract

__all__ = [
    "AdminContract",
    "AppendingContract",
    "BacklogContract",
    "BirthContract",
    "CarriedEventContract",
    "CellsContract",
    "ChildContract",
    "ClaimingContract",
    "DueContract",
    "EventReadingContract",
    "ExaminingContract",
    "ExpeditingContract",
    "FencingContract",
    "FilteringContract",
    "FiringContract",
    "FollowUpContract",
    "GateContract",
    "GroupingContract",
    "InsertingContract",
    "JobEventContract",
    "LaneContract",
    "LeasesContract",
    "LeavingContract",
    "LedgerContract",
    "LettersContract",
    "LifeContract",
    "LimitContract",
    "MovingContract",
    "NodeContract",
    "NoteContract",
    "NotifierContract",
    "OpeningContract",
    "OperationsContract",
    "ParkingContract",
    "PauseContract",
    "PullingContract",
    "QueueContract",
    "RateContract",
    "ReadingContract",
    "RecoveringContract",
    "ScheduleContract",
    "SettlingContract",
    "SubscribingContract",
    "TimingContract",
    "TransactionContract",
    "UniqueContract",
]
