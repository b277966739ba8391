"""The policies of an engine's jobs: each name has one, whoever declares it and however many name it."""

from __future__ import annotations

from typing import Any

import pytest

from backburner import Adaptive, Backburner, Breaker, Budget, Bulkhead, Registry
from backburner.errors import InvalidOption
from backburner.jobs.registry import Kinds
from backburner.model.lane import Limit, Rate

SECOND = 1_000_000


def kinds(**declarations: dict[str, Any]) -> Kinds:
    """Return what an engine knows that has a job of each kind."""
    jobs, known = Registry(), Kinds()
    jobs.attach(known)
    for kind, options in declarations.items():
        declare(jobs, kind, **options)
    return known


def declare(jobs: Registry | Backburner, kind: str, **options: Any) -> None:  # noqa: ANN401 - of a declaration
    """Declare a job of a kind."""

    @jobs.job(name=kind, **options)
    async def work(tenant: str = "") -> None: ...


def test_numbers_are_limits_of_their_kinds() -> None:
    """What is a kind's own goes by the kind."""
    known = kinds(a={"concurrency": 4, "rate": "2/s"}, b={"concurrency": 1, "concurrency_key": "tenant"}, c={})
    assert known.policies.limits() == {
        "concurrency:a": Limit(slots=4),
        "rate:a": Limit(rate=Rate(limit=2, period=SECOND)),
        "concurrency:b": Limit(slots=1),
    }
    assert known.policies.breakers == {}


@pytest.mark.parametrize("first", [True, False])
def test_a_name_is_the_policy_that_somebody_declares(*, first: bool) -> None:
    """Named before it is declared or after, also by two that declare it alike; named alone it is the default."""
    own = {
        "bulkhead": Bulkhead("pdf", slots=3),
        "breaker": Breaker("stripe", calls=7),
        "budget": Budget("b", ratio=0.5),
    }
    named = {"bulkhead": "pdf", "breaker": "stripe", "budget": "b"}
    order = (own, named) if first else (named, own)
    policies = kinds(a=order[0], b=order[1], c=own).policies
    assert policies.limits() == {"bulkhead:pdf": Limit(slots=3), "budget:b": Budget("b", ratio=0.5).limit()}
    assert policies.breakers == {"breaker:stripe": Breaker("stripe", calls=7)}
    alone = kinds(a=named).policies
    assert alone.limits() == {"bulkhead:pdf": Bulkhead("pdf").limit(), "budget:b": Budget("b").limit()}
    assert alone.breakers == {"breaker:stripe": Breaker("stripe")}


def test_a_breaker_brings_a_budget_of_its_name() -> None:
    """Unless the job names another."""
    assert kinds(a={"breaker": "stripe"}).policies.limits() == {"budget:stripe": Budget("stripe").limit()}
    assert list(kinds(a={"breaker": "stripe", "budget": "own"}).policies.limits()) == ["budget:own"]


def test_adaptive_limits_are_nobody_s_to_declare() -> None:
    """They change; of those with a key nobody knows how full they are."""
    policies = kinds(
        a={"concurrency": Adaptive(most=5)}, b={"concurrency": Adaptive(), "concurrency_key": "tenant"}
    ).policies
    assert policies.limits() == {}
    assert policies.adaptive == {"concurrency:a": Adaptive(most=5), "concurrency:b": Adaptive()}
    assert policies.keyed == {"concurrency:b"}


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        (Breaker("x", calls=7), Breaker("x"), "breaker"),
        (Budget("x", ratio=0.1), Budget("x"), "budget"),
        (Bulkhead("x", slots=3), Bulkhead("x", slots=4), "bulkhead"),
    ],
)
def test_two_of_one_name_are_refused(one: object, other: object, word: str) -> None:
    """Naming both jobs and where they stand, before anything of the second is known."""
    bb = Backburner("memory://")
    declare(bb, "a", **{word: one})
    with pytest.raises(InvalidOption) as refused:
        declare(bb, "b", **{word: other})
    text = str(refused.value)
    assert text.startswith(f"{word} 'x' is declared twice, and otherwise: by a ({__file__}:")
    assert f"and by b ({__file__}:" in text
    assert text.endswith(f'declare it once, and write {word}="x" elsewhere')
    assert bb._kinds.get("b") is None
    # One family's names say nothing of another's.
    declare(bb, "c", breaker=Breaker("y"), bulkhead=Bulkhead("y"), budget=Budget("y"))


def test_two_registries_of_one_engine_agree() -> None:
    """What two modules declare otherwise is refused where they meet."""
    one, other = Registry("one"), Registry("other")
    declare(one, "a", bulkhead=Bulkhead("pdf", slots=1))
    declare(other, "a", bulkhead=Bulkhead("pdf", slots=2))
    with pytest.raises(InvalidOption, match=r"by one\.a .* and by other\.a"):
        Backburner("memory://", jobs=[one, other])


def test_each_declaration_is_news() -> None:
    """The version grows with each that names a limit, and with no other; the same declared again is none."""
    known = kinds(a={"concurrency": 1})
    before = known.policies.version
    jobs = Registry()
    declare(jobs, "b")
    jobs.attach(known)
    assert known.policies.version == before
    declare(jobs, "c", rate="1/s")
    assert known.policies.version == before + 1
    jobs.attach(known)
    assert known.policies.version == before + 1
