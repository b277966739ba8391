"""Every error says what was refused, where, and how to mend it: the words themselves, and the rules they keep."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from backburner import errors
from backburner.errors import CallRefused, InvalidArguments, StoreError
from tests.unit.error_messages import collecting
from tests.unit.error_messages.collecting import CLASSES, Collected, Told

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Places of the code that cases provoke, at least; the others need a server, a fork, a clock or a crash.
PROVOKED = 300
#: Words for parts of the engine, and of its stores, that people are not shown.
INSIDE = re.compile(
    r"\b(?:claim tokens?|gates?|lanes?|settlements?|settler|steward|midwife|intake|vigil|desk|births?|lapses?|"
    r"suspects?|claimer|keeper|round trip|SQL|Lua)\b"
)
#: For the authors of a store or of an engine: no user meets it.
FOR_AUTHORS = re.compile(r"^The keeper is not open")
#: A mend: something to do, or what would have been taken.
MEND = re.compile(
    r"\b(?:add|annotate|ask|await|begin|call|capitals|check|choose|collect|commit|connect|create|declare|decorate|draw|"
    r"end|enter|fork|give|go on|goes on|grant|grants|have|install|keep|leave|let|load|look|lower|make|makes|move|name|"
    r"nothing needs to be done|open|pass|passes by itself|pip install|publish|put|raise|read|remove|restore|return|"
    r"roll it back|roll the transaction back|run|runs|save|say|says|see|set|sets|shows|start|stop|store|swap|take|takes|try|"
    r"needs its quotes|turn|upgrade|use|wait|write)\b"
    r"|\b(?:such as|did you mean|at least|at most|allowed|needed|must|has to|known are|there (?:is|are)|none of|one of|"
    r"between|from \d|is a|is an|is the|is between|True or False|no sooner|comes? before|ends in the future|"
    r"'keep' or 'mask'|is \d+ to \d+|or None|in their place|it has|they hold|holds|its signature is|works in|may be named|ports are|the shortest|five fields|one is|but by|are names|in a list|two triggers or more|of type|no more than|an export begins|\d+ to \d+)\b"
)
#: What is told rather than refused: how a job, a delivery, a lock or a transaction ended.
ENDED = frozenset(
    {
        "AlreadyEnded",
        "DeliveryFailed",
        "JobCancelled",
        "JobDead",
        "JobExpired",
        "ClaimLost",
        "DeliveryRefused",
        "EventsGone",
        "JobNotFound",
        "LeaseLost",
        "LockLost",
        "LockTimeout",
        "PayloadNotReadable",
        "Postponed",
        "ResourceFailed",
        "ResultNotStorable",
        "TransactionRolledBack",
    }
)


#: Where a sentence ends, and goes on.
ANOTHER_SENTENCE = re.compile(r"[a-z)…]{2}[.!] +[A-Z]|[a-z)…]{2}[?!] +\S")
#: What refuses something that has a name.
REFUSED = (CallRefused, StoreError)


def worded(name: str) -> str:
    """Return what a class says where it is raised without a message."""
    return (CLASSES[name].__doc__ or "").strip().splitlines()[0].removesuffix(".")


def templates() -> set[str]:
    """Return what the code has for messages, also those that no case provokes; {} stands for what is put in."""
    return {flat(site.template) for site in collecting.sites()}


@pytest.fixture(scope="module")
def collected() -> Iterator[Collected]:
    """What all cases are told; the log is of no interest here."""
    logging.disable()
    yield collecting.collect()
    logging.disable(logging.NOTSET)


def flat(text: str) -> str:
    """Return a message as one line, without what it quotes of others: values, commands, addresses."""
    first = re.sub(r"\n.*?\n *\^\n", "; ", text, flags=re.DOTALL).replace("?; ", "; ")
    return re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\S+://\S*", "…", first)


def test_the_words_are_those_that_were_agreed(collected: Collected) -> None:
    """What every case is told stands in messages.txt; a change of it is seen, and made by a command."""
    mend = "after a look: python -m tests.unit.error_messages"
    assert collected.text.splitlines() == collecting.GOLDEN.read_text("utf-8").splitlines(), mend


def test_every_class_is_provoked(collected: Collected) -> None:
    """Each class of the tree that anything raises has a case."""
    raised = {site.kind for site in collecting.sites()}
    assert raised - {told.kind for told in collected.told} <= set(UNPROVOKED)


#: These need two processes, a fork, or somebody's delay, and have tests of their own.
UNPROVOKED = ("LockLost", "NotInThisProcess", "ProcessDied", "SubscriptionNotFound")


def test_most_places_are_provoked(collected: Collected) -> None:
    """Of the places in the code that make an error the most are provoked by a case."""
    assert len(collected.made) >= PROVOKED, f"{len(collected.made)} of {len(collecting.sites())}"


def test_one_sentence_without_a_full_stop(collected: Collected) -> None:
    """A message is one sentence, without a full stop at its end: it is often shown inside another."""
    texts = {flat(told.text) for told in collected.told} | templates()
    assert [text for text in texts if text.endswith((".", "; ", ": ")) or ANOTHER_SENTENCE.search(text)] == []


def test_no_word_from_inside(collected: Collected) -> None:
    """A message names what people know, and no part of the engine; also one that no case provokes."""
    texts = {flat(told.text) for told in collected.told} | templates()
    assert [text for text in texts if INSIDE.search(text) and not FOR_AUTHORS.search(text)] == []


def test_a_refusal_says_how_to_mend_it(collected: Collected) -> None:
    """What refuses a call, or a store, says what would be taken, or what to do."""
    refusals = [told for told in collected.told if told.kind not in ENDED]
    assert [told for told in refusals if not MEND.search(told.text)] == []


def test_a_message_names_the_thing(collected: Collected) -> None:
    """A refusal shows what was refused, an option, a name, a value or an address: none is the mere class's."""
    refusals = [told for told in collected.told if issubclass(CLASSES.get(told.kind, Exception), REFUSED)]
    assert [told for told in refusals if told.text == worded(told.kind) and told.kind not in ENDED] == []


def test_a_class_words_itself() -> None:
    """What a class says by itself, its docstring's first line, keeps the rules, and it is public."""
    for name in CLASSES:
        text = flat(worded(name))
        assert not ANOTHER_SENTENCE.search(text), text
        assert not INSIDE.search(text), text
        assert name in errors.__all__


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("the queue is wrong. Mend it", test_one_sentence_without_a_full_stop),
        ("set what? give slots=", test_one_sentence_without_a_full_stop),
        ("slots is a number.", test_one_sentence_without_a_full_stop),
        ("the settlement of job 5 is stale: wait", test_no_word_from_inside),
        ("slots=0 will not do", test_a_refusal_says_how_to_mend_it),
        (str(InvalidArguments()), test_a_message_names_the_thing),
    ],
)
def test_the_rules_can_fail(text: str, rule: object) -> None:
    """Each rule refuses a message that breaks it."""
    assert callable(rule)
    with pytest.raises(AssertionError):
        rule(Collected(frozenset({Told("InvalidArguments", text)}), frozenset()))
