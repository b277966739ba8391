"""Links from pages to files beside docs: to the page that shows one, if there is one; else its name is plain text.

That a link leads somewhere in the repository is held by tests/docs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: The pages that show one, as those are linked.
SHOWN = {"README": "readme", "CHANGELOG": "changes"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at links once all pages are read."""
    app.add_post_transform(LinkFiles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class LinkFiles(SphinxPostTransform):
    """Goes before Markdown's own links are looked for."""

    default_priority = 4

    def run(self, **_: object) -> None:
        """Go through the links of a page."""
        root = Path(self.app.srcdir).parent
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node["reftype"] != "myst":
                continue
            # A page that shows a file has that file's links, which begin where it is.
            here = root if node["refdoc"] in SHOWN.values() else (root / "docs" / node["refdoc"]).parent
            target = here / node["reftarget"]
            name = target.resolve().relative_to(root).as_posix() if target.resolve().is_relative_to(root) else ""
            if name in SHOWN:
                node["reftarget"] = SHOWN[name]
            elif not name.startswith("docs/") and (target.is_file() or target.with_suffix(".md").is_file()):
                node.replace_self(node.children)
