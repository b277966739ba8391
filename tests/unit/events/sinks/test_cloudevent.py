"""Events as CloudEvents."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from backburner.events.sinks.cloudevent import attributes, encode
from tests.unit.events.sinks.examples import example


def test_an_event_about_nothing_has_no_subject() -> None:
    """The standard knows no empty one."""
    assert "subject" not in attributes(example(subject=""))
    assert attributes(example())["subject"] == "order/42"


def test_times_are_utc_whatever_they_come_in() -> None:
    """And have microseconds even where they are none, so that text sorts as they do."""
    time = datetime(2025, 6, 15, 17, 0, tzinfo=timezone(timedelta(hours=2)))
    assert attributes(example(time=time))["time"] == "2025-06-15T15:00:00.000000Z"


def test_sequences_sort_as_their_numbers_do() -> None:
    """Up to the greatest that a cursor has."""
    numbers = (1, 9, 10, 999_999_999_999_999_999)
    sequences = [attributes(example(cursor=f"k3xq90ab-{number}"))["sequence"] for number in numbers]
    assert sequences == sorted(sequences)
    assert [int(sequence) for sequence in sequences] == list(numbers)


def test_all_attributes_are_named_as_the_standard_asks() -> None:
    """Small letters and digits."""
    assert all(name.isalnum() and name == name.lower() for name in json.loads(encode(example())))


def test_two_deliveries_are_the_same_to_the_byte() -> None:
    """So they can be told to be one."""
    assert encode(example()) == encode(example())
