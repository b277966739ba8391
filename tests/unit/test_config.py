"""Settings: an argument wins, else the variable, else the default; a bad one is refused by name."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import UNSET

from backburner.config import Settings, load, queue_slots, store_url
from backburner.errors import InvalidOption, InvalidSetting, InvalidUrl, UnknownRetryPolicy
from backburner.model.clock import SECOND
from backburner.ports.jobs import Keep
from backburner.resilience.retry import policy

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 86_400 * SECOND

#: Each option: an argument, the variable's text, what both come to.
_SAME: list[tuple[str, Any, str, Any]] = [
    ("url", "sqlite:///other.db", "sqlite:///other.db", "sqlite:///other.db"),
    ("run", False, "0", False),
    ("queues", {"default": 3, "mail=x": 5}, "default=3, mail=x=5", {"default": 3, "mail=x": 5}),
    ("slots", 7, "7", 7),
    ("retry", "aggressive", "aggressive", policy("aggressive")),
    ("timeout", timedelta(minutes=2), "2m", 120 * SECOND),
    ("timeout", None, "none", 0),
    ("threads", 2, "2", 2),
    ("processes", 2, "2", 2),
    ("lease", 3, "3", 3 * SECOND),
    ("grace", 0, "0", 0),
    ("write_timeout", 0.5, "500ms", SECOND // 2),
    (
        "keep",
        {"completed": 60, "dead": None},
        "completed=1m,dead=forever",
        Keep(completed=60 * SECOND, cancelled=7 * _DAY, dead=None, ticks=30 * _DAY, events=7 * _DAY),
    ),
    ("tz", "Europe/Berlin", "Europe/Berlin", "Europe/Berlin"),
]


def test_defaults() -> None:
    """Without arguments and variables the documented defaults hold."""
    assert load({}) == Settings(
        url="sqlite:///backburner.db",
        run=True,
        queues={"default": 10},
        slots=100,
        retry=policy("standard"),
        timeout=3600 * SECOND,
        threads=min(8, (os.cpu_count() or 1) + 4),
        processes=max(1, (os.cpu_count() or 1) - 1),
        lease=30 * SECOND,
        grace=20 * SECOND,
        write_timeout=5 * SECOND,
        stall_limit=300 * SECOND,
        keep=Keep(completed=_DAY, cancelled=7 * _DAY, dead=90 * _DAY, ticks=30 * _DAY, events=7 * _DAY),
        tz="UTC",
        secrets=(),
        migrate=True,
    )


@pytest.mark.parametrize(("option", "argument", "text", "expected"), _SAME)
def test_argument_and_variable(option: str, argument: object, text: str, expected: object) -> None:
    """A variable says in text what the argument says in Python."""
    assert getattr(_given({}, **{option: argument}), option) == expected
    assert getattr(load({f"BACKBURNER_{option.upper()}": text}), option) == expected


def test_an_argument_wins() -> None:
    """What the code says is not overruled by the environment, not even when the variable is bad."""
    assert load({"BACKBURNER_SLOTS": "many"}, slots=5).slots == 5
    assert load({"BACKBURNER_TIMEOUT": "5m"}, timeout=None).timeout == 0


@pytest.mark.parametrize("absent", [None, UNSET])
def test_not_given(absent: object) -> None:
    """None is "not given" where it is no value; where it is one, UNSET is."""
    assert _given({"BACKBURNER_SLOTS": "5"}, slots=absent).slots == 5
    assert _given({"BACKBURNER_TIMEOUT": "5m"}, timeout=UNSET).timeout == 300 * SECOND


def test_an_empty_variable_is_not_set() -> None:
    """An empty variable, as compose files leave them behind, is not set."""
    assert load({"BACKBURNER_SLOTS": "", "BACKBURNER_URL": " "}) == load({})


@pytest.mark.parametrize("text", ["1", "true", "YES", "on"])
def test_flags(text: str) -> None:
    """A flag takes the words people write."""
    assert load({"BACKBURNER_RUN": text}).run is True


@pytest.mark.parametrize(
    ("option", "text", "why"),
    [
        ("run", "maybe", "write 1 or 0"),
        ("queues", "mail", "'mail' is no pair; write it like default=10,mail=5"),
        ("queues", "mail=1,mail=2", "'mail=2' is given twice"),
        ("queues", "mail=0", "queues['mail'] is a whole number from 1, not 0"),
        ("queues", "mail=ten", "'ten' is not a whole number"),
        ("queues", "=5", "queue must not be empty"),
        ("slots", "0", "slots is a whole number from 1, not 0"),
        ("slots", "1.5", "'1.5' is not a whole number"),
        ("retry", "hard", "hard"),
        ("timeout", "0", "timeout=0 would end every run at once"),
        ("timeout", "soon", "'soon' is not a duration; write it like 500ms, 30s"),
        ("threads", "-1", "threads is a whole number from 1, not -1"),
        ("lease", "2s", "lease must be at least 3s, not 2s"),
        ("grace", "-1s", "'-1s' is not a duration"),
        ("write_timeout", "0", "write_timeout must be at least 100ms, not 0s"),
        ("keep", "done=1d", "keep is durations by state (completed, cancelled, dead, ticks, events)"),
        ("tz", "Europe/Berln", "Europe/Berlin"),
        ("keep", "dead=never", "'never' is not a duration"),
    ],
)
def test_bad_variables(option: str, text: str, why: str) -> None:
    """A bad variable is refused by an error that names it, its value and the mend."""
    variable = f"BACKBURNER_{option.upper()}"
    with pytest.raises(InvalidSetting) as caught:
        load({variable: text})
    assert str(caught.value).startswith(f"{variable}={text!r} is refused: ")
    assert why in str(caught.value)
    assert caught.value.variable == variable


def test_a_bad_url_shows_no_password() -> None:
    """A bad URL is refused with its password masked, wherever it came from."""
    url = "ftp://ada:hunter2@host/db"
    with pytest.raises(InvalidSetting, match="BACKBURNER_URL is refused: ") as setting:
        load({"BACKBURNER_URL": url})
    with pytest.raises(InvalidUrl) as argument:
        load({}, url=url)
    assert "ftp" in str(setting.value)
    assert "hunter2" not in f"{setting.value}{argument.value}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("url", 7),
        ("run", "yes"),
        ("queues", {}),
        ("queues", ["mail"]),
        ("queues", {"mail": True}),
        ("slots", True),
        ("slots", 2.0),
        ("timeout", float("nan")),
        ("timeout", 0),
        ("lease", timedelta(seconds=-5)),
        ("grace", "20s"),
        ("stall_limit", 0),
        ("keep", {"completed": "1d"}),
        ("keep", {"done": 1}),
        ("keep", timedelta(days=1)),
        ("migrate", 1),
    ],
)
def test_bad_arguments(option: str, value: object) -> None:
    """A bad argument is refused by an error that names the option."""
    with pytest.raises(InvalidOption) as caught:
        _given({}, **{option: value})
    assert str(caught.value.option).startswith(option)
    assert str(caught.value).startswith(option)


def test_a_bad_queue_name() -> None:
    """A queue's name is checked where it is declared."""
    with pytest.raises(InvalidOption, match=r"queue contains '\\x00' at position 1"):
        load({}, queues={"a\0": 1})


def test_an_unknown_policy() -> None:
    """An unknown retry policy keeps its own error."""
    with pytest.raises(UnknownRetryPolicy):
        load({}, retry="hard")


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("BACKBURNER_QUEUE", "did you mean BACKBURNER_QUEUES?"),
        ("BACKBURNER_COLOUR", "there are: BACKBURNER_GRACE, BACKBURNER_KEEP, "),
    ],
)
def test_unknown_variables(name: str, mend: str) -> None:
    """A variable that would be ignored is refused, with the nearest name; its value may be secret and is not shown."""
    with pytest.raises(InvalidSetting) as caught:
        load({name: "hunter2"})
    assert str(caught.value).startswith(f"{name} is set but is no setting; {mend}")
    assert "hunter2" not in str(caught.value)
    assert caught.value.variable == name


@pytest.mark.parametrize(
    "name",
    [
        "BACKBURNER_TEST_POSTGRES_URL",
        "BACKBURNER_SERVICE_HOST",
        "BACKBURNER_SERVICE_PORT_HTTP",
        "BACKBURNER_PORT",
        "BACKBURNER_PORT_80_TCP_ADDR",
        "BACKBURNER_WEB_SERVICE_HOST",
        "PATH",
    ],
)
def test_variables_of_others(name: str) -> None:
    """What tests and Kubernetes set is none of our business."""
    assert load({name: "x"}) == load({})


def test_the_url_alone() -> None:
    """A tool that only needs the store is not stopped by a bad setting of the engine."""
    environ = {"BACKBURNER_URL": "sqlite:///a.db", "BACKBURNER_SLOTS": "many"}
    assert store_url(None, environ) == "sqlite:///a.db"
    assert store_url("sqlite:///b.db", environ) == "sqlite:///b.db"
    assert store_url(None, {}) == "sqlite:///backburner.db"


def test_as_worker() -> None:
    """A worker runs, whatever `run` says: all declared queues, some of them, or others with slots of their own."""
    settings = load({}, run=False, queues={"default": 10, "mail": 5})
    assert settings.as_worker() == load({}, queues={"default": 10, "mail": 5})
    assert settings.as_worker(["mail"]).queues == {"mail": 5}
    assert settings.as_worker({"slow": 1}).queues == {"slow": 1}


@pytest.mark.parametrize("queues", [["mial"], [], "mail", {}, {"mail": 0}])
def test_as_worker_refuses(queues: Any) -> None:  # noqa: ANN401 - bad ones on purpose
    """A worker of queues that nobody declared would idle; it is refused."""
    with pytest.raises(InvalidOption, match="queues"):
        load({}, queues={"default": 10, "mail": 5}).as_worker(queues)


def test_queue_slots() -> None:
    """The command line reads slots by queue as the variable does."""
    assert queue_slots("default=10,mail=5") == {"default": 10, "mail": 5}


def _given(environ: Mapping[str, str], **given: Any) -> Settings:  # noqa: ANN401 - bad ones on purpose
    return load(environ, **given)


def test_secrets() -> None:
    """Names and paths, given or by the variable."""
    assert load({}, secrets=["password", "card.number", "password"]).secrets == ("card.number", "password")
    assert load({"BACKBURNER_SECRETS": "password, card.number"}).secrets == ("card.number", "password")
    assert load({}, secrets=()).secrets == ()


@pytest.mark.parametrize("given", ["password", [""], ["card..number"], [7]], ids=["text", "empty", "dots", "number"])
def test_no_secrets(given: object) -> None:
    """A text alone would be taken for its letters."""
    with pytest.raises(InvalidOption, match="secrets is names of fields") as refused:
        load({}, secrets=given)  # type: ignore[arg-type]
    assert refused.value.option == "secrets"
