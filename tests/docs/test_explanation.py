"""docs/explanation: every test that a page names is there, and what is run of it runs."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, pages

NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


@pytest.mark.parametrize("page", [page for page in pages() if page.startswith("docs/explanation/")])
def test_tests_that_are_named_exist(page: str) -> None:
    """Proof that a page names can be run."""
    for file, name in NAMED.findall((ROOT / page).read_text("utf-8")):
        *suite, test = name.split("::")
        texts = (
            [path.read_text("utf-8") for path in (ROOT / "backburner/testing/contracts").glob("*.py")] if suite else []
        )
        texts.append((ROOT / file).read_text("utf-8"))
        assert any(re.search(rf"^ *(async )?def {test}\(", text, re.MULTILINE) for text in texts), (
            f"{page}: {file}::{name}"
        )


def test_every_case_names_its_proof() -> None:
    """What happens when …: no answer stands without a test."""
    _, *cases = (ROOT / "docs/explanation/what-happens-when.md").read_text("utf-8").split("\n## ")
    assert [case.splitlines()[0] for case in cases if not NAMED.search(case)] == []
