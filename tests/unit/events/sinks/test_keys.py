"""The secrets of webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.events.sinks.webhooks.keys import Keys
from tests.unit.events.sinks.examples import SECRET

PLAIN = "q8Zr2LxW0vTnB5yKjH7sDf3gPm9cEa1u"


def test_the_example_of_the_standard() -> None:
    """The signature that its implementations are tested with."""
    keys = Keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_secret_signs_the_newest_first() -> None:
    """Rotation: receivers that know either are content."""
    both = Keys([SECRET, PLAIN]).sign("a", 1, b"{}").split(" ")
    assert both == [Keys(SECRET).sign("a", 1, b"{}"), Keys(PLAIN).sign("a", 1, b"{}")]
    assert both[1] == "v1," + base64.b64encode(hmac.digest(PLAIN.encode(), b"a.1.{}", hashlib.sha256)).decode()


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "has 0 characters"),
        ("whsec_", "has 0 characters"),
        ("hunter2", "has 7 characters"),
        (PLAIN[:31], "has 31 characters"),
        ("whsec_" + PLAIN[:31], "has 31 characters"),
        ("a" * 40, "fewer than 8"),
        ("abcdefg" + "a" * 33, "fewer than 8"),
        ("abcdefgh12345678" * 2, "repeats one block"),
        ("correct horse-battery staple etc.", "holds a space"),
        ("correct-horse!" * 3, "repeats one block"),
        ("secret-password-secret-password-secr", "repeats one block"),
        (string.ascii_lowercase + string.digits, "in order"),
        ("zyxwvutsrqponmlkjihgfedcba9876543210", "in order"),
        ("abcdefghijklmnopqrstuvwxyz-7Qw3Rt", "in order"),
        ("whsec_" + base64.b64encode(bytes(32)).decode(), "fewer than 8"),
        ("whsec_" + base64.b64encode(bytes(range(32))).decode(), "in order"),
        ("whsec_" + base64.b64encode(b"abcdefghijklmnop" * 2).decode(), "repeats one block"),
        ("whsec_" + PLAIN + "!", "is not base64"),
        ("whsec_7Vv0r3XhQ2kq9mQmJ1o5eGZ4yT8wLw==", "22 bytes"),
        ("whsec_" + base64.b64encode(hashlib.sha512(b"a").digest() + b"a").decode(), "65 bytes"),
        (PLAIN + "é", "not ASCII"),
        ([], "signs nothing"),
        ([SECRET, "hunter2"], "has 7 characters"),
        (None, "a text"),
        ([b"bytes"], "a text"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_could_be_guessed_is_refused(secret: str | list[str], why: str) -> None:
    """Too short, repeated, in order, no base64: said why, and never shown."""
    with pytest.raises(InvalidOption, match=why) as refused:
        Keys(secret)
    given = [secret] if isinstance(secret, str) else secret or ()
    assert not any(text in str(refused.value) for text in map(str, given) if text not in {"", "whsec_"})


@given(st.randoms(use_true_random=True), st.sampled_from(["hex", "base64", "plain"]), st.integers(32, 64))
def test_what_is_drawn_at_random_is_taken(random: object, form: str, length: int) -> None:
    """In every usual form."""
    drawn = random.randbytes(length)  # type: ignore[attr-defined]
    match form:
        case "hex":
            Keys(drawn.hex()[:length])
        case "base64":
            Keys("whsec_" + base64.b64encode(drawn).decode())
        case _:
            Keys(base64.urlsafe_b64encode(drawn).decode()[:length])


def test_secrets_are_not_shown() -> None:
    """Not by repr, which ends up in tracebacks and logs."""
    assert repr(Keys([SECRET, PLAIN])) == "<2 secrets>"
