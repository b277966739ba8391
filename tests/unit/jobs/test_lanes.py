"""What a declaration says of limits: which lanes a call asks, and every wrong word refused where it stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner import Adaptive, Breaker, Budget, Bulkhead, Registry, rate
from backburner.errors import InvalidOption
from backburner.jobs.lanes import Lanes, lanes
from backburner.model.lane import Algorithm, Rate, limit_of

if TYPE_CHECKING:
    from backburner.jobs.definition import Definition

NONE: dict[str, Any] = dict.fromkeys(("breaker", "budget", "bulkhead", "concurrency", "concurrency_key", "rate"))
SECOND = 1_000_000


def made(**options: Any) -> Lanes:  # noqa: ANN401 - of a declaration
    """Return what a declaration says; it says something."""
    found = lanes(**{**NONE, **options})
    assert found is not None
    return found


def declared(**options: Any) -> Definition:  # noqa: ANN401 - of a declaration
    """Declare a job of a tenant and a number."""
    jobs = Registry()

    @jobs.job(**options)
    async def work(tenant: str, number: int = 0, options: dict[str, int] | None = None) -> None: ...

    return work.definition


def asked(*args: object, **options: Any) -> tuple[str, ...]:  # noqa: ANN401 - of a declaration
    """Return the lanes that a call asks."""
    definition = declared(**options)
    assert definition.options.lanes is not None
    stored = definition.signature.encode(definition.signature.bind(args, {}))
    return definition.options.lanes.names("work", stored)


def test_without_a_word_there_are_none() -> None:
    """A job that names no limit has no lanes, and none of its runs is watched."""
    assert lanes(**NONE) is None
    assert declared().options.lanes is None
    assert declared().watched == ()


def test_what_most_share_is_asked_first() -> None:
    """From the bulkhead, which other kinds share, to the budget; a breaker brings one of its name."""
    found = asked(
        "acme",
        breaker="stripe",
        concurrency=4,
        concurrency_key="tenant",
        bulkhead=Bulkhead("pdf"),
        rate="100/minute",
    )
    assert found == ("bulkhead:pdf", "breaker:stripe", "rate:work", "concurrency:work/acme", "budget:stripe")
    assert asked("acme", breaker=Breaker("a/b"), budget="own") == ("breaker:a%2Fb", "budget:own")
    assert asked("acme", concurrency=4) == ("concurrency:work",)


def test_only_what_goes_by_ends_is_watched() -> None:
    """A breaker and an adaptive limit hear of the ends of runs; numbers do not."""
    assert declared(concurrency=4, rate="1/s", bulkhead="pdf", budget="b").watched == ()
    assert declared(breaker="stripe", concurrency=Adaptive()).watched == ("breaker:stripe", "concurrency:work")


# ---- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "key", "text"),
    [
        (("acme",), "tenant", "acme"),
        (("a/b%",), "tenant", "a/b%"),
        (("",), "tenant", ""),
        (("acme", 7), "number", "7"),
        (("acme",), "number", "0"),
        (("acme", 7), ["tenant", "number"], '["acme",7]'),
        (("acme", 7, {"b": 1, "a": 2}), ["options"], '{"a":2,"b":1}'),
        (("acme",), "options", "null"),
    ],
)
def test_a_key_is_the_text_of_the_arguments_values(args: tuple[object, ...], key: str | list[str], text: str) -> None:
    """Defaults are arguments too, and objects have no order."""
    assert asked(*args, concurrency=1, concurrency_key=key) == (f"concurrency:work/{text}",)


@given(st.text(), st.text())
def test_keys_are_short_and_apart(one: str, other: str) -> None:
    """Whatever the value, the lane's name is short, printable, of its limit, and another for another value."""
    known = made(concurrency=1, concurrency_key="tenant")
    (first,), (second,) = (known.names("work", json.dumps({"tenant": each})) for each in (one, other))
    assert (first == second) == (one == other)
    assert first.isprintable()
    assert len(first) <= len("concurrency:work/") + 64
    assert limit_of(first) == "concurrency:work"


# ---- what is wrong with it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "option", "text"),
    [
        (
            {"concurrency": 0},
            "concurrency",
            "concurrency=0 must be a whole number of runs from 1, over all nodes, or an ",
        ),
        ({"concurrency": True}, "concurrency", "concurrency=True must be a whole number of runs from 1"),
        ({"concurrency": 1.5}, "concurrency", "concurrency=1.5 must be a whole number of runs from 1"),
        ({"concurrency": "4"}, "concurrency", "concurrency='4' must be a whole number of runs from 1"),
        (
            {"concurrency_key": "tenant"},
            "concurrency_key",
            "concurrency_key='tenant' needs concurrency=: how many may run for ",
        ),
        (
            {"concurrency": 1, "concurrency_key": 7},
            "concurrency_key",
            "concurrency_key=7 has to name an argument, or several",
        ),
        ({"concurrency": 1, "concurrency_key": [7]}, "concurrency_key", "concurrency_key"),
        ({"concurrency": 1, "concurrency_key": []}, "concurrency_key", "concurrency_key=[] has to name an argument"),
        ({"rate": "fast"}, "rate", "'fast' is not a rate; write it like \"100/minute\""),
        ({"rate": "100/fortnight"}, "rate", "'100/fortnight' is not a rate; write it like"),
        ({"rate": "0/s"}, "rate", "a rate's limit is a whole number from 1, not 0"),
        ({"rate": 100}, "rate", "100 is no rate; write it like"),
        ({"breaker": 1}, "breaker", "breaker=1 is neither a name nor a Breaker"),
        ({"breaker": Budget("stripe")}, "breaker", "is neither a name nor a Breaker"),
        ({"breaker": ""}, "breaker", "breaker"),
        ({"budget": 0.2}, "budget", "budget=0.2 is neither a name nor a Budget"),
        ({"bulkhead": 3}, "bulkhead", "bulkhead=3 is neither a name nor a Bulkhead"),
    ],
)
def test_a_wrong_word_is_refused_with_what_to_write(options: dict[str, Any], option: str, text: str) -> None:
    """At the declaration, by the option's name."""
    with pytest.raises(InvalidOption) as refused:
        declared(**options)
    assert refused.value.option == option
    assert text in str(refused.value)


def test_a_key_that_is_no_argument_is_refused() -> None:
    """With the arguments there are."""
    with pytest.raises(
        InvalidOption, match="work has no argument 'tennant' for its concurrency_key; it has tenant, number, "
    ):
        declared(concurrency=1, concurrency_key="tennant")


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("100/minute", Rate(limit=100, period=60 * SECOND)),
        ("5/s burst 20", Rate(limit=5, period=SECOND, burst=20)),
        ("10/30s fixed", Rate(limit=10, period=30 * SECOND, algorithm=Algorithm.FIXED)),
        (rate(1000, per=3600, burst=50), Rate(limit=1000, period=3600 * SECOND, burst=50)),
    ],
)
def test_a_rate_is_a_text_or_a_rate(given: str | Rate, known: Rate) -> None:
    """Both say the same."""
    assert made(rate=given).rate == known
