"""Job ids."""

from __future__ import annotations

from itertools import pairwise

from backburner.model.ids import Ids
from backburner.testing import FakeClock

ALPHABET = set("0123456789abcdefghjkmnpqrstvwxyz")


def test_an_id_is_a_ulid() -> None:
    """An id has 26 characters of Crockford's base 32; the first ten are its millisecond."""
    # The example of the specification.
    made = Ids(FakeClock(now=1_469_922_850_259_999)).new()
    assert len(made) == 26
    assert set(made) <= ALPHABET
    assert made[:10] == "01arz3nde" + made[9]
    assert made[9] in ALPHABET


def test_ids_ascend_strictly() -> None:
    """Ids of one instance ascend: within a millisecond, from one to the next, and when the clock steps back."""
    clock = FakeClock()
    ids = Ids(clock)
    made: list[str] = []
    for step in (0, 0, 0.001, 0, -3600, 0, 0.0005, 3600, 0):
        clock.move(step)
        made += [ids.new() for _ in range(5)]
    assert all(left < right for left, right in pairwise(made))


def test_ids_are_unique_over_instances() -> None:
    """Two instances in the same millisecond make different ids."""
    clock = FakeClock()
    made = [instance.new() for instance in [Ids(clock) for _ in range(100)] for _ in range(100)]
    assert len(set(made)) == len(made)


def test_the_counter_never_overflows_into_the_past() -> None:
    """When a millisecond's counter runs out, ids go on ascending in the next."""
    ids = Ids(FakeClock())
    first = ids.new()
    ids._counter = (1 << 40) - 2
    last, beyond = ids.new(), ids.new()
    assert first < last < beyond
    assert first[:10] == last[:10] < beyond[:10]


def test_ids_order_like_numbers_across_the_pairs() -> None:
    """The counter's digits carry: ids made one after another ascend over every carry."""
    ids = Ids(FakeClock())
    ids.new()
    for carry in (1 << 10, 1 << 20, 1 << 30):
        ids._counter = carry - 2
        made = [ids.new() for _ in range(4)]
        assert made == sorted(set(made))
