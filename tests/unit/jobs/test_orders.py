"""From a call and its options to the job that is stored: ids, headers, presets, keys, and every refusal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, Unique
from backburner.errors import ArgumentNotStorable, CallRefused, InvalidOption, NotACall, UnknownKind
from backburner.jobs.order import Orders
from backburner.model.ids import Ids
from backburner.model.job import JobState
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

bb = Backburner("memory://")


@bb.job(queue="mail", priority=2, tags=["mail"], expires=60)
async def send(to: str, copies: frozenset[str] = frozenset(), more: dict[str, int] = {}) -> None:  # noqa: B006 - never changed
    """Stand in for a job."""


@bb.job(unique=Unique(by=["number"]))
async def once(number: int, why: str = "") -> None:
    """Stand in for a job of which one is enough."""


@dataclass
class Run:
    """A parent's run."""

    id: str = "parent"
    created_at: int = 1_750_000_000_000_000
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    counted: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def ordinal(self, kind: str, args: str) -> int:
        self.counted[kind, args] += 1
        return self.counted[kind, args] - 1


def orders(headers: Callable[[], Any] | None = None, limit: int = 1000) -> Orders:
    """Make them, for the jobs above."""
    return Orders(bb._kinds, Ids(FakeClock()), argument_limit=limit, headers=headers)


def ids(run: Run, *calls: Any, **options: Any) -> list[str]:  # noqa: ANN401 - calls and their options
    """The ids of children stored one after the other in one run."""
    made = orders()
    return [made.prepare(call, options, run).id for call in calls]  # type: ignore[arg-type]


# ---- ids of children -----------------------------------------------------------------------------------------------


def test_a_childs_id_is_the_same_in_every_run_of_its_parent() -> None:
    """Parent, kind, arguments and the place among equals make a child's id: a second run comes to the same ids."""
    first = ids(Run(), send("a"), send("a"), send("b"), once(1))
    again = ids(Run(), send("a"), send("a"), send("b"), once(1))
    assert first == again
    assert len(set(first)) == 4
    assert set(first).isdisjoint(ids(Run(id="other"), send("a"), send("a"), send("b"), once(1)))


def test_a_child_among_equals_is_known_by_its_place() -> None:
    """Whatever other children come between, the second call with the same arguments is the second."""
    _, second = ids(Run(), send("a"), send("a"))
    *_, amid = ids(Run(), send("a"), once(1), send("b"), send("a"))
    assert amid == second


def test_a_named_child_is_known_by_its_name() -> None:
    """With a name its arguments do not matter; another kind or another name is another child."""
    (one,) = ids(Run(), send("a"), name="report")
    (two,) = ids(Run(), send("b"), name="report")
    (three,) = ids(Run(), send("a"), name="mail")
    (four,) = ids(Run(), once(1), name="report")
    assert one == two
    assert len({one, three, four}) == 3


def test_a_childs_own_id_is_taken_as_it_is() -> None:
    """`id=` says which job it is, inside a job too."""
    assert ids(Run(), send("a"), id="mine") == ["mine"]


def test_children_stand_with_their_parent_in_time() -> None:
    """A derived id begins with the moment of the parent's storing, as that of any other job of then would."""
    run = Run()
    clock = FakeClock(run.created_at)
    (child,) = ids(run, send("a"))
    assert child[:10] == Ids(clock).new()[:10]
    assert len(child) == len(Ids(clock).new())


def test_equal_arguments_are_equal_whatever_their_order() -> None:
    """The order in which a set or a dict happens to be makes no other child and no other key."""
    run = Run()
    one = send("a", frozenset({"x", "y"}), {"p": 1, "q": 2})
    two = send("a", frozenset({"y", "x"}), {"q": 2, "p": 1})
    assert ids(run, one) == ids(Run(), two)
    key, same = (orders().prepare(call, {"unique": Unique()}).unique for call in (one, two))
    assert key == same
    assert key is not None


@pytest.mark.parametrize("what", ["id", "key"])
def test_sets_give_the_same_in_every_process(what: str) -> None:
    """A set's order is chance and another in each process: a parent that runs again elsewhere finds its children."""
    program = (
        "from tests.unit.jobs.test_orders import *;"
        "call = send('a', frozenset('abcdefgh'), {});"
        f"print(ids(Run(), call)[0] if {what!r} == 'id' else orders().prepare(call, {{'unique': Unique()}}).unique.key)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_outside_of_a_job_ids_are_new() -> None:
    """Without a parent every job is another, and ids ascend."""
    made = orders()
    first, second = made.prepare(send("a"), {}), made.prepare(send("a"), {})
    assert first.id < second.id
    assert first.parent is None


# ---- what is declared, preset and said -----------------------------------------------------------------------------


def test_what_is_said_overrules_what_is_preset_and_declared() -> None:
    """Options of `create_task` come before those of `.options`, these before the declaration; tags add up."""
    made = orders()
    job = send.options(priority=3, delay=5, tags=["night"])
    declared, preset = made.prepare(send("a"), {}), made.prepare(job("a"), {})
    said = made.prepare(job("a"), {"priority": 4, "queue": "slow", "tags": ["x"]})
    assert (declared.queue, declared.priority, declared.delay, declared.tags) == ("mail", 2, 0, ("mail",))
    assert (preset.queue, preset.priority, preset.delay, preset.tags) == ("mail", 3, 5_000_000, ("mail", "night"))
    assert (said.queue, said.priority, said.delay, said.tags) == ("slow", 4, 5_000_000, ("mail", "x"))
    assert declared.expires_in == preset.expires_in == 60_000_000


def test_presets_add_up_and_leave_the_job_alone() -> None:
    """`.options` answers another job; the one it was asked of stays as it is."""
    once_more = send.options(priority=1).options(queue="slow")
    made = orders()
    assert made.prepare(once_more("a"), {}).priority == 1
    assert made.prepare(once_more("a"), {}).queue == "slow"
    assert made.prepare(send("a"), {}).priority == 2


@pytest.mark.parametrize("option", ["tx", "name", "delya"])
def test_a_preset_that_could_not_hold_is_refused(option: str) -> None:
    """A transaction, a child's name or a slip of the pen is refused at `.options`, where it is written."""
    with pytest.raises(InvalidOption, match=f"send.options takes no {option}=") as caught:
        send.options(**{option: object()})  # type: ignore[arg-type]
    assert caught.value.option == option


def test_moments_and_durations() -> None:
    """`expires` may be either; what was declared gives way to both."""
    made = orders()
    at = datetime(2030, 1, 1, tzinfo=UTC)
    moment = made.prepare(send("a"), {"expires": at, "at": at})
    assert (moment.expires_in, moment.expires_at, moment.at) == (None, 1_893_456_000_000_000, 1_893_456_000_000_000)
    assert made.prepare(send("a"), {"expires": 5}).expires_in == 5_000_000


def test_a_declared_key_may_be_left_out() -> None:
    """`unique=None` stores a job that would otherwise be one of one; another `Unique` takes its place."""
    made = orders()
    declared = made.prepare(once(1, "x"), {}).unique
    assert declared is not None
    assert declared == made.prepare(once(1, "y"), {}).unique
    assert made.prepare(once(1), {"unique": None}).unique is None
    other = made.prepare(once(1, "x"), {"unique": Unique(states=["dead"], period=5)}).unique
    assert other is not None
    assert (other.states, other.period) == ((JobState.DEAD,), 5_000_000)
    assert other.key != declared.key


# ---- headers -------------------------------------------------------------------------------------------------------


def test_a_child_inherits_its_parents_headers() -> None:
    """What the engine says at the storing comes over what the run had that stores."""
    made = orders(lambda: {"trace": "new", "who": "me"})
    run = Run(headers={"trace": "old", "tenant": "7"})
    child = made.prepare(send("a"), {}, run)
    assert child.headers == '{"trace":"new","tenant":"7","who":"me"}'
    follow_up = made.follow_up(send("a"), {}, run)
    assert (follow_up.headers, follow_up.parent) == (child.headers, None)
    assert orders().prepare(send("a"), {}, run).headers == '{"trace":"old","tenant":"7"}'
    assert orders().prepare(send("a"), {}).headers is None
    assert orders(dict).prepare(send("a"), {}).headers is None


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (None, "texts by name, not None"),
        ([("a", "b")], "texts by name"),
        ({"a": 1}, "texts by name"),
        ({1: "a"}, "texts by name"),
        ({"a": "\x00"}, "a NUL"),
        ({"a": "\ud800"}, "half a character"),
        ({"a": "x" * 8192}, "8,192 are allowed"),
    ],
)
def test_headers_that_cannot_be_carried(headers: object, says: str) -> None:
    """Headers are texts, small, and such as every store takes."""
    with pytest.raises(InvalidOption, match=says) as caught:
        orders(lambda: headers).prepare(send("a"), {})
    assert caught.value.option == "headers"


def test_a_header_may_speak_of_nul() -> None:
    """A backslash, u and four noughts are text like any other."""
    assert orders(lambda: {"a": "\\u0000"}).prepare(send("a"), {}).headers == '{"a":"\\\\u0000"}'


# ---- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"id": "a", "name": "b"}, "name"),
        ({"name": "b"}, "name"),
        ({"unique": "to"}, "unique"),
        ({"unique": Unique(by=["subject"])}, "unique"),
        ({"tags": 5}, "tags"),
        ({"retry": 5}, "retry"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], option: str) -> None:
    """Each is refused by its name, and the call counts as dealt with."""
    call = send("a")
    with pytest.raises(InvalidOption) as caught:
        orders().prepare(call, options)  # type: ignore[arg-type]
    assert caught.value.option == option
    assert call.used


def test_what_is_stored_is_a_call() -> None:
    """Whatever else is handed over is told how to write it."""

    async def plain() -> None: ...

    future = asyncio.new_event_loop().create_future()
    for wrong, says in (
        (plain(), "coroutine of plain"),
        (send, "call it: send"),
        (future, "runs already"),
        (plain, "the function plain"),
        (7, "not int"),
    ):
        with pytest.raises(NotACall, match=says):
            orders().prepare(wrong, {})  # type: ignore[arg-type]
    future.get_loop().close()


def test_only_jobs_of_the_engine() -> None:
    """A job of another engine is refused, saying where it was declared; without kinds any is taken."""
    other = Backburner("memory://")

    @other.job
    async def foreign() -> None: ...

    with pytest.raises(UnknownKind, match=r"foreign \(.*test_orders.py:\d+\)"):
        orders().prepare(foreign(), {})
    with pytest.raises(UnknownKind):
        orders().check_kind("foreign")
    assert Orders(None, Ids(FakeClock()), argument_limit=10).prepare(foreign(), {}).kind == "foreign"


def test_the_limit_is_in_bytes() -> None:
    """Arguments are measured as they are stored."""
    fits = '{"to":"","copies":[],"more":{}}'
    made = orders(limit=len(fits) + 4)
    made.prepare(send("éé"), {})
    with pytest.raises(ArgumentNotStorable, match="are allowed"):
        made.prepare(send("ééx"), {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "to"},
        {"by": 5},
        {"states": "dead"},
        {"states": None},
        {"states": ["done"]},
        {"states": [["x"]]},
        {"states": []},
        {"period": -1},
        {"period": "1h"},
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    """A `Unique` is checked where it is written."""
    with pytest.raises(CallRefused):
        Unique(**wrong)


def test_what_a_key_is_made_of() -> None:
    """The kind and the chosen arguments, in whatever order they are named; all by default, none for ``by=()``."""
    args = '{"a":1,"b":{"y":2,"x":[1,2]}}'
    other = '{"b":{"x":[1,2],"y":2},"a":1}'
    assert Unique().key("k", args) == Unique().key("k", other)
    assert (
        Unique(by=["a", "b"]).key("k", args).key
        == Unique(by=["b", "a"]).key("k", args).key
        == Unique().key("k", args).key
    )
    assert Unique(by=()).key("k", args) == Unique(by=()).key("k", "{}")
    keys = {
        Unique().key("k", args).key,
        Unique().key("other", args).key,
        Unique(by=["a"]).key("k", args).key,
        Unique(by=()).key("k", args).key,
        Unique().key("k", args.replace("[1,2]", "[2,1]")).key,
        Unique().key("k", args.replace("1", "1.0")).key,
    }
    assert len(keys) == 6
    assert Unique().key("k", args).key.startswith("k:")
    assert Unique(states=["dead", "pending"]).key("k", args).states == (JobState.PENDING, JobState.DEAD)
