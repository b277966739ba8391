"""Claimer and slots: demand only for free slots, no slot promised twice, asked only when it is worth asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from backburner.jobs.claimer import Claimer
from backburner.jobs.slots import Slots
from backburner.ports.jobs import ClaimBatch, ClaimRequest
from tests.unit.jobs.told import SECOND, claim

if TYPE_CHECKING:
    from backburner.jobs.executor import Executor
    from backburner.model.job import Claim
    from tests.unit.jobs.told import Stage


class Started:
    """The executor, as far as the claimer knows it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.declined: list[str] = []
        self.suspects = 0

    def start(self, claim: Claim) -> None:
        self.started.append(claim.id)

    def decline(self, claim: Claim) -> None:
        self.declined.append(claim.id)


class Counter:
    """A claimer on a stage; counts how often it asks."""

    def __init__(self, stage: Stage, limits: dict[str, int], total: int) -> None:
        self.slots = Slots(limits, total)
        self.executor = Started()
        self.asks = self.claims = 0
        self.claimer = Claimer(
            stage.kinds,
            self.slots,
            cast("Executor", self.executor),
            node=stage.node,
            ask=self._ask,
            claimed=self._know,
            kit=stage.kit,
        )
        self.claimer.start()

    def _ask(self) -> None:
        self.asks += 1

    def _know(self) -> None:
        self.claims += 1

    def request(self) -> ClaimRequest:
        request = self.claimer.request()
        assert request is not None
        return request

    def answer(self, request: ClaimRequest, *ids: str, wait: int | None = None, queue: str = "default") -> None:
        claims = tuple(claim(one, queue=queue) for one in ids)
        self.claimer.arrived(request, ClaimBatch(now=0, claims=claims, wait=wait))

    def end(self, queue: str = "default", *, suspect: bool = False) -> None:
        """End a run."""
        self.slots.give(queue)
        self.claimer.freed(suspect=suspect)


@pytest.fixture
async def counter(stage: Stage) -> Counter:
    """Bring an open claimer with one queue of three slots."""
    return Counter(stage, {"default": 3}, 100)


async def test_a_claim_in_flight_books_its_slots(counter: Counter) -> None:
    """While a claim is in flight its slots are promised: a birth finds none of them free."""
    request = counter.request()
    assert (request.queues, request.limit) == ({"default": 3}, 100)
    assert counter.slots.free("default") == 0


async def test_a_birth_books_a_slot_before_a_claim(counter: Counter) -> None:
    """A slot booked for a birth is not asked for again, and one given back is."""
    counter.slots.take("default", 2)
    request = counter.request()
    assert request.queues == {"default": 1}
    counter.answer(request, "a")
    counter.end()
    assert counter.request().queues == {"default": 1}


async def test_what_a_claim_did_not_fill_is_free_again(counter: Counter) -> None:
    """Slots that a claim did not fill are free for births at once; those it filled are taken."""
    counter.answer(counter.request(), "a")
    assert counter.executor.started == ["a"]
    assert counter.slots.free("default") == 2


async def test_one_claim_at_a_time(counter: Counter) -> None:
    """Nothing more is asked for while an answer is awaited."""
    counter.request()
    counter.claimer.wake()
    assert counter.claimer.request() is None


async def test_a_queue_that_filled_its_slots_is_asked_again(counter: Counter) -> None:
    """A queue that gave all that was asked may hold more: the first slot freed asks again."""
    counter.answer(counter.request(), "a", "b", "c")
    assert counter.claimer.request() is None
    asks = counter.asks
    counter.end()
    assert counter.asks == asks + 1
    assert counter.request().queues == {"default": 1}


async def test_an_empty_queue_is_left_alone(counter: Counter) -> None:
    """A queue that gave less than was asked is not asked again before something says that it holds work."""
    counter.answer(counter.request(), "a")
    asks = counter.asks
    counter.end()
    assert counter.asks == asks
    assert counter.claimer.request() is None
    counter.claimer.expect("default", 0)
    assert counter.request().queues == {"default": 3}


async def test_a_capped_queue_is_asked_again_when_a_run_ends(counter: Counter) -> None:
    """A queue that an operator's slots hold back is left alone until one of this node's runs ends, and asked then."""
    request = counter.request()
    counter.claimer.arrived(request, ClaimBatch(now=0, claims=(claim("a"),), capped=("default",)))
    assert counter.claimer.request() is None
    counter.end()
    assert counter.request().queues == {"default": 3}


async def test_a_queue_of_others_is_no_concern(counter: Counter) -> None:
    """A job of a queue that this node does not run makes it ask nothing."""
    counter.answer(counter.request())
    asks = counter.asks
    counter.claimer.expect("elsewhere", 0)
    assert counter.asks == asks


async def test_demand_is_counted_by_queue(stage: Stage) -> None:
    """Each queue asks for its own free slots, all together for no more than the node has."""
    counter = Counter(stage, {"mail": 2, "thumbs": 4}, 5)
    request = counter.request()
    assert request.queues == {"thumbs": 4, "mail": 2}
    assert request.limit == 5
    assert counter.slots.free("mail") <= 0
    counter.answer(request, "a", queue="mail")
    assert counter.slots.free_in_all == 4


async def test_a_full_queue_starves_no_other(stage: Stage) -> None:
    """However much one queue holds, every freed slot is asked for on behalf of all that may hold work."""
    counter = Counter(stage, {"mail": 2, "thumbs": 2}, 2)
    counter.answer(counter.request(), "a", "b", queue="mail", wait=0)
    counter.end("mail")
    assert counter.request().queues == {"mail": 1, "thumbs": 1}


async def test_a_node_without_a_free_slot_asks_nothing(stage: Stage) -> None:
    """When all the node's slots are taken nothing is asked, whatever a queue has left."""
    counter = Counter(stage, {"mail": 2, "thumbs": 4}, 2)
    counter.slots.take("mail", 2)
    assert counter.claimer.request() is None


async def test_the_store_says_when_to_ask_again(stage: Stage, counter: Counter) -> None:
    """The wait that a claim answers is slept through on the clock, then every queue is asked."""
    counter.answer(counter.request(), wait=7 * SECOND)
    asks = counter.asks
    await stage.wait(6.9)
    assert counter.asks == asks
    await stage.wait(0.2)
    assert counter.asks == asks + 1
    assert counter.request().queues == {"default": 3}


async def test_an_earlier_due_time_takes_the_timer(stage: Stage, counter: Counter) -> None:
    """Of several due times the earliest wakes the claimer; a later one never postpones it."""
    counter.answer(counter.request(), wait=60 * SECOND)
    counter.claimer.expect("default", 2 * SECOND)
    counter.claimer.expect("default", 30 * SECOND)
    asks = counter.asks
    await stage.wait(2)
    assert counter.asks == asks + 1


async def test_a_step_of_the_stores_clock_is_noticed(stage: Stage, counter: Counter) -> None:
    """However far the next due time is, the store is asked within a minute: its clock may have stepped since."""
    counter.answer(counter.request(), wait=3600 * SECOND)
    asks = counter.asks
    await stage.wait(60)
    assert counter.asks == asks + 1
    assert counter.request().queues == {"default": 3}


async def test_a_wait_of_nothing_asks_at_once(counter: Counter) -> None:
    """A store that says "ask again now" is asked again."""
    counter.answer(counter.request(), "a", wait=0)
    assert counter.request().queues == {"default": 2}


async def test_a_failed_claim_gives_its_booking_back(counter: Counter) -> None:
    """When no answer comes (a lost lease, a busy store) the slots are free again and the same is asked later."""
    request = counter.request()
    counter.claimer.failed(request)
    assert counter.slots.free("default") == 3
    assert counter.request().queues == {"default": 3}


async def test_a_stopped_claimer_gives_back_what_still_comes(counter: Counter) -> None:
    """Claims that arrive after the stop are declined, no slot stays taken, and nothing more is asked."""
    request = counter.request()
    counter.claimer.stop()
    counter.answer(request, "a", "b")
    assert counter.executor.declined == ["a", "b"]
    assert counter.executor.started == []
    assert counter.slots.taken == 0
    counter.claimer.wake()
    assert counter.claimer.request() is None


async def test_a_stopped_claimer_forgets_its_timer(stage: Stage, counter: Counter) -> None:
    """No timer outlives the stop."""
    counter.answer(counter.request(), wait=SECOND)
    counter.claimer.stop()
    asks = counter.asks
    await stage.wait(2)
    assert counter.asks == asks


async def test_a_second_suspect_is_not_asked_for(counter: Counter) -> None:
    """A node that runs a suspect asks for no other; its end asks again, also of queues that seemed empty."""
    counter.executor.suspects = 1
    request = counter.request()
    assert not request.suspect
    counter.answer(request, "a")
    counter.executor.suspects = 0
    counter.end(suspect=True)
    assert counter.request().suspect


async def test_a_hint_without_a_free_slot_asks_for_nothing(stage: Stage) -> None:
    """However many hints come, full slots make no request; the end of a run does."""
    counter = Counter(stage, {"default": 1}, 1)
    counter.answer(counter.request(), "a")
    for _ in range(5):
        counter.claimer.wake()
        assert counter.claimer.request() is None
    counter.end()
    assert counter.request().limit == 1


async def test_a_hint_to_one_that_stopped_asks_for_nothing(stage: Stage) -> None:
    """A node that drains, or is fenced, is not even woken by hints; started again, it asks."""
    counter = Counter(stage, {"default": 1}, 1)
    counter.claimer.stop()
    asks = counter.asks
    counter.claimer.wake()
    assert (counter.asks, counter.claimer.request()) == (asks, None)
    counter.claimer.start()
    assert counter.asks == asks + 1
    assert counter.request().limit == 1


async def test_an_answer_under_a_former_id_starts_nothing(stage: Stage) -> None:
    """Claims that were made before the node took a new id are given back under the one that holds them."""
    counter = Counter(stage, {"default": 2}, 2)
    request = counter.request()
    stage.node.renew()
    counter.answer(request, "a")
    assert (counter.executor.started, counter.executor.declined) == ([], ["a"])
    assert stage.node.holder("a", claim("a").token) == request.node
    assert counter.request().node == stage.node.id
