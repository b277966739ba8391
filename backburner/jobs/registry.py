"""The jobs that an engine knows, by kind; and jobs that are declared before there is an engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from backburner.errors import DuplicateKind, InvalidOption
from backburner.jobs.declaring import Declares
from backburner.jobs.home import Home
from backburner.jobs.policies import Policies
from backburner.model.names import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backburner.jobs.definition import Definition

__all__ = ["Kinds", "Registry"]


class Kinds:
    """Definitions by kind and by alias; two of one name are refused. ``secrets`` are what an operator says to mask."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._secrets = secrets
        #: By kind and by alias; grows, and is never replaced.
        self.definitions: dict[str, Definition] = {}
        self.home = Home()
        self.policies = Policies()
        self.names: frozenset[str] = frozenset()
        #: Called when a kind was added.
        self.changed: set[Callable[[], None]] = set()
        self._signatures: dict[str, str] | None = None

    def add(self, definition: Definition) -> None:
        """Add a definition; the same one again changes nothing.

        Raises `DuplicateKind`, or `InvalidOption` for a policy that another declares otherwise, naming both places.
        """
        known = definition.kind in self.definitions
        self.policies.check(definition)
        _add(self.definitions, definition)
        if not known:
            self.policies.add(definition)
        definition.signature.hide(self._secrets)
        if self.home not in definition.homes:
            definition.homes.append(self.home)
        self.names = frozenset(self.definitions)
        self._signatures = None
        for told in self.changed:
            told()

    def get(self, kind: str) -> Definition | None:
        """Return the definition of a kind, or None."""
        return self.definitions.get(kind)

    @property
    def signatures(self) -> dict[str, str]:
        """A name for what the stored arguments of each kind must look like here."""
        if self._signatures is None:
            known = self.definitions.items()
            self._signatures = {name: definition.signature.schema_name for name, definition in known}
        return self._signatures


class Registry(Declares):
    """Jobs declared in a module that knows no engine: ``jobs = Registry("mail")``, then ``Backburner(jobs=[jobs])``.

    With a prefix the kind of ``send`` is ``mail.send``. Engines take up what is declared here later too, and one
    registry may belong to several. Raises `InvalidOption`.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = check_name(prefix, "a registry's prefix") if prefix else ""
        self._definitions: dict[str, Definition] = {}
        self._engines: list[Kinds] = []

    def __repr__(self) -> str:
        return f"<registry {self._prefix!r} of {len(set(self._definitions.values()))} jobs>"

    def attach(self, kinds: Kinds) -> None:
        """Let an engine know these jobs, now and later. The engine's to call; raises `DuplicateKind`."""
        for definition in dict.fromkeys(self._definitions.values()):
            kinds.add(definition)
        self._engines.append(kinds)

    def _declare(self, definition: Definition) -> None:
        for kinds in self._engines:
            kinds.add(definition)
        _add(self._definitions, definition)


def check_registries(given: object) -> tuple[Registry, ...]:
    """Return the registries of ``jobs=``, or raise `InvalidOption`."""
    if isinstance(given, Registry) or not isinstance(given, Iterable):
        raise InvalidOption(f"jobs takes a list of registries, not {given!r}: jobs=[registry]", option="jobs")
    registries = tuple(cast("Iterable[Registry]", given))
    for each in registries:
        if not isinstance(each, Registry):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(f"jobs takes registries, not {each!r}; declare jobs with @registry.job", option="jobs")
    return registries


def _add(known: dict[str, Definition], definition: Definition) -> None:
    """Enter a definition under all its names, or raise `DuplicateKind`."""
    names = (definition.kind, *definition.aliases)
    for name in names:
        other = known.get(name, definition)
        if other is not definition:
            raise DuplicateKind(
                f"{name} is registered twice: {other.place} and {definition.place}; "
                f'give one another name: @bb.job(name="…")'
            )
    known.update(dict.fromkeys(names, definition))
