"""Links names to where they are documented, by whatever end of their path is enough: `JobHandle`, `Backburner.state`.

In docstrings and signatures a name that leads nowhere is a warning, unless it is Python's own, or conf.py ignores it. In
pages a name of the public surface is linked where it first stands in a section.
"""

from __future__ import annotations

import builtins
import collections.abc
import contextlib
import datetime as dt
import keyword
import os
import random
import re
import typing
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import find_pending_xref_condition, make_refnode

import backburner
from backburner import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.domains.python import ObjectEntry
    from sphinx.environment import BuildEnvironment

Entry = tuple[str, "ObjectEntry"]

#: Everything documented, by the last word of its path.
ENDS: dict[str, list[Entry]] = {}

TYPES = {"class", "exception", "data", "type"}
PYTHONS = {*keyword.kwlist}.union(*map(dir, (builtins, typing, collections.abc, contextlib, dt, os, random)))
PUBLIC = {*backburner.__all__, *errors.__all__}
#: Structs there are handed over by the engine and stores: how one is made is said by its fields.
INNER = ("backburner.model.", "backburner.ports.", "backburner.observability.")
#: Pages of what a store's author alone looks up.
LONG = ("reference/api/ports", "reference/api/values")
#: What a page may call a name: ``JobHandle``, ``JobHandle.cancel()``, ``bb.create_task(…)``.
CALLED = re.compile(r"((?:bb|[A-Z]\w+)(?:\.\w+)*)(?:\(.*\))?")


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at each name once all pages are read, and at each signature as it is read."""
    app.connect("env-updated", _gather)
    app.connect("env-updated", _shorten)
    app.connect("autodoc-process-signature", _without_making)
    app.add_post_transform(LinkReferences)
    app.add_post_transform(LinkLiterals)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _shorten(_app: Sphinx, env: BuildEnvironment) -> None:
    """List the classes of long pages beside them, and not every field: each page's list is copied for every other's."""
    for page in LONG:
        for fields in list(env.tocs[page].findall(nodes.bullet_list)):
            if _depth(fields) > 1:
                fields.parent.remove(fields)


def _depth(node: nodes.Node) -> int:
    return 0 if node.parent is None else _depth(node.parent) + isinstance(node.parent, nodes.bullet_list)


def _gather(_app: Sphinx, env: BuildEnvironment) -> None:
    ENDS.clear()
    for path, entry in env.domains.python_domain.objects.items():
        if not entry.aliased:
            ENDS.setdefault(path.rpartition(".")[2], []).append((path, entry))


class LinkReferences(SphinxPostTransform):
    """Links what docstrings and signatures name; what it leaves, Sphinx warns of."""

    default_priority = 5

    def run(self, **_: object) -> None:
        """Go through the names of a page."""
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("refdomain") == "py":
                self._link(node)

    def _link(self, node: addnodes.pending_xref) -> None:
        target: str = node["reftarget"].removesuffix("()")
        short = find_pending_xref_condition(node, "resolved")
        content = node[0] if short is None else short[0]
        found = matching(target, only_types=node["reftype"] == "class")
        found = nearest(found, ".".join(filter(None, (node.get("py:module"), node.get("py:class")))))
        if len(found) == 1:
            node.replace_self(link(self, *found[0], content))
        elif found or _leads_elsewhere(target):
            node.replace_self(content)


class LinkLiterals(SphinxPostTransform):
    """Links public names in the code of a page's sentences."""

    default_priority = 6

    def run(self, **_: object) -> None:
        """Go through the sections of a page."""
        for section in self.document.findall(nodes.section):
            seen: set[str] = set()
            for literal in list(_literals(section)):
                match CALLED.fullmatch(literal.astext()):
                    case None:
                        continue
                    case called:
                        self._link(literal, called[1], seen)

    def _link(self, literal: nodes.literal, name: str, seen: set[str]) -> None:
        root = name.partition(".")[0]
        if (root not in PUBLIC and root != "bb") or name in seen:
            return
        found = nearest(matching(name, only_types="." not in name), "backburner.Backburner")
        if len(found) == 1:
            seen.add(name)
            literal.replace_self(link(self, *found[0], literal.deepcopy()))


def matching(target: str, *, only_types: bool = False) -> list[Entry]:
    """Return what ends in ``target``; ``bb`` is an engine."""
    if target.startswith("bb."):
        target = f"Backburner.{target.removeprefix('bb.')}"
    return [
        (path, entry)
        for path, entry in ENDS.get(target.rpartition(".")[2], ())
        if f".{path}".endswith(f".{target}") and (not only_types or entry.objtype in TYPES)
    ]


def nearest(found: list[Entry], home: str) -> list[Entry]:
    """Return, of several, those in the class or module that names them, else in what that is in; else of an engine."""
    while "." in home:
        near = [each for each in found if each[0].startswith(f"{home}.")]
        if near:
            return near
        home = home.rpartition(".")[0]
    return [each for each in found if each[0].startswith("backburner.Backburner.")] or found


def link(transform: SphinxPostTransform, path: str, entry: ObjectEntry, content: nodes.Node) -> nodes.reference:
    """Return a link to what is documented."""
    return make_refnode(
        transform.app.builder, transform.env.current_document.docname, entry.docname, entry.node_id, content, path
    )


def _literals(section: nodes.section) -> Iterator[nodes.literal]:
    """Yield the code of a section's sentences, without that of the sections in it, of titles, links and docstrings."""
    for child in section:
        if not isinstance(child, nodes.section | nodes.title | addnodes.desc):
            for literal in child.findall(nodes.literal):
                if not isinstance(literal.parent, nodes.reference | addnodes.pending_xref):
                    yield literal


def _leads_elsewhere(target: str) -> bool:
    """Tell what is Python's, or in another package; a module of ours is no dead name either."""
    root, dot, _ = target.partition(".")
    if not dot:
        return target in PYTHONS
    with suppress(ModuleNotFoundError):
        return root.isidentifier() and find_spec(root if root != "backburner" else target) is not None
    return False


def _without_making(
    _app: Sphinx, _what: str, _name: str, thing: object, _options: object, signature: str | None, returns: str
) -> tuple[str, str] | None:
    """Leave out how values are made that users are only handed; of others a page says so, by ``Name()``."""
    inner = isinstance(thing, type) and issubclass(thing, msgspec.Struct) and thing.__module__.startswith(INNER)
    return ("", returns) if inner and signature else None
