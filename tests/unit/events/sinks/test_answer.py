"""What answers mean, and what errors show of them."""

from __future__ import annotations

import pytest

from backburner.errors import DeliveryRefused
from backburner.events.sinks.webhooks.answer import Answer, judge, masked


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://a.example/b?c=d#e", "'https://a.example/b?***'"),
        ("https://me:hush@a.example:8443/b", "'https://a.example:8443/b'"),
        ("//a.example/b#c", "'//a.example/b'"),
        ("/b?c", "'/b?***'"),
        ("https://[::1/b", "'?'"),
        ("/services/hushhushhush/", "'/services/***/'"),
        ("/\x1b[31m\nb", "'/ [31mb'"),
    ],
    ids=repr,
)
def test_a_redirect_tells_where_it_points(location: str, shown: str) -> None:
    """Without a login, a query, a fragment, or any secret."""
    with pytest.raises(DeliveryRefused) as refused:
        judge(Answer(302, location=location), "https://a.example", ["hushhushhush"])
    assert f"answered 302 Found, pointing to {shown}: redirects are not followed" in str(refused.value)


def test_a_redirect_that_points_nowhere_is_one_too() -> None:
    """Some servers forget to say."""
    with pytest.raises(DeliveryRefused, match="304 Not Modified: redirects"):
        judge(Answer(304), "https://a.example", [])


@pytest.mark.parametrize(
    ("text", "secrets", "cut", "shown"),
    [
        ("a  b\r\n\tc\x00", [], False, "a b c"),
        ("x" * 201, [], False, "x" * 199 + "…"),
        ("x" * 200, [], False, "x" * 200),
        ("key=abcdef abcdef!", ["abcdef"], False, "key=*** ***!"),
        ("abcdefgh abcdef", ["abcdef", "abcdefgh"], False, "*** ***"),
        ("1 2 3", ["2"], False, "1 2 3"),
        ("you sent abcd", ["abcdefgh"], True, "you s"),
        ("you sent abcd", [], True, "you sent abcd"),
        ("abcd", ["abcdefgh"], True, ""),
    ],
)
def test_a_text_is_shown_on_one_line_without_secrets(text: str, secrets: list[str], cut: bool, shown: str) -> None:  # noqa: FBT001 - an example
    """The longest are masked first; of a text that may end inside one its end is left out."""
    assert masked(text, secrets, cut=cut) == shown
