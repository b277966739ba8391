"""What pages link to is there, where they are read as files too."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, pages, prose

LINK = re.compile(r"\]\((?!https://)([^)\s]+)\)|^\[[^\]]+\]: (?!https://)(\S+)$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """Return what a page's headings are called, as GitHub and the site's builder do."""
    headings = re.findall(r"^#{1,6} (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    """A link is to a file, and to one of its headings; or to the web, by https."""
    code = re.compile(r"`[^`]*`")
    for inside, below in LINK.findall(code.sub("", prose(page))):
        path, _, anchor = (inside or below).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), f"{page} leads to {path}"
        assert not anchor or anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), f"{page}: #{anchor}"
