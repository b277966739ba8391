"""What a job needs, in the order of opening; and what of it is open in one attempt."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from backburner.errors import InvalidDependency
from backburner.jobs.factories import Factory, name_of, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack, ExitStack

__all__ = ["Opened", "Overrides", "Plan", "Provided", "provided"]

#: What is opened in place of what, factory by factory.
Overrides = Mapping[Callable[..., Any], Callable[..., Any]]

_MANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Provided:
    """A parameter's default that says who makes the value."""

    __slots__ = ("factory",)

    def __init__(self, factory: Callable[..., Any]) -> None:
        self.factory = factory

    def __repr__(self) -> str:
        return f"Provide({name_of(self.factory)})"


class Step:
    """A factory in the order of opening; ``needs`` is whose instance each of its parameters takes."""

    __slots__ = ("factory", "index", "needs")

    def __init__(self, factory: Factory, index: int, needs: tuple[tuple[str, int], ...]) -> None:
        self.factory = factory
        self.index = index
        self.needs = needs


class Opened:
    """What is open so far of one attempt's dependencies."""

    __slots__ = ("_given", "_names", "_steps", "_values")

    def __init__(self, steps: Sequence[Step], names: tuple[tuple[str, int], ...], given: Mapping[str, object]) -> None:
        self._steps = steps
        self._names = names
        self._given = given
        self._values: list[Any] = [None] * len(steps)
        if given:
            self._leave_out(given)

    def _leave_out(self, given: Mapping[str, object]) -> None:
        """Let what the caller gave stand for its factory, and open only what somebody still needs."""
        taken = {index: given[name] for name, index in reversed(self._names) if name in given}
        wanted = {index for _, index in self._names}
        steps: list[Step] = []
        for step in reversed(self._steps):
            if step.index in taken:
                self._values[step.index] = taken[step.index]
            elif step.index in wanted:
                steps.append(step)
                wanted.update(index for _, index in step.needs)
        self._steps = steps[::-1]

    async def on_the_loop(self, stack: AsyncExitStack, *, synchronous: bool) -> None:
        """Open the asynchronous ones, and the synchronous ones too if so told."""
        values = self._values
        for step in self._steps:
            if synchronous or step.factory.asynchronous:
                needs = {name: values[index] for name, index in step.needs}
                values[step.index] = await step.factory.open(stack, needs)

    def in_the_thread(self, stack: ExitStack) -> None:
        """Open the synchronous ones."""
        values = self._values
        for step in self._steps:
            if not step.factory.asynchronous:
                needs = {name: values[index] for name, index in step.needs}
                values[step.index] = step.factory.open_sync(stack, needs)

    def arguments(self) -> dict[str, object]:
        """Return the values by the job's parameters."""
        arguments = {name: self._values[index] for name, index in self._names}
        return {**arguments, **self._given} if self._given else arguments


class Plan:
    """The factories that a job's parameters need, each once, those it needs before it. Raises `InvalidDependency`."""

    def __init__(
        self, wanted: Mapping[str, Callable[..., Any]], overrides: Overrides, *, kind: str, threaded: bool
    ) -> None:
        self._overrides = overrides
        self._kind = kind
        #: Synchronous factories are opened in a thread, after the others.
        self._threaded = threaded
        self._steps: list[Step] = []
        self._known: dict[Callable[..., Any], Step] = {}
        self._names = tuple((name, self._add(factory, ()).index) for name, factory in wanted.items())

    def begin(self, given: Mapping[str, object]) -> Opened:
        """Begin an attempt, in which nothing is open yet."""
        return Opened(self._steps, self._names, given)

    def _add(self, factory: Callable[..., Any], path: tuple[Callable[..., Any], ...]) -> Step:
        factory = self._overrides.get(factory, factory)
        if factory in path:
            chain = " -> ".join(name_of(each) for each in (*path[path.index(factory) :], factory))
            raise InvalidDependency(
                f"{self._kind}: its dependencies need one another, {chain}{place_of(factory)}; let one of them do "
                "without the next"
            )
        known = self._known.get(factory)
        if known is not None:
            return known
        path = (*path, factory)
        inner = [(name, self._add(each, path)) for name, each in self._needs(factory)]
        made = Factory(factory)
        if self._threaded and made.asynchronous:
            self._refuse_threads(made, [step.factory for _, step in inner], place_of(factory))
        step = Step(made, len(self._steps), tuple((name, step.index) for name, step in inner))
        self._steps.append(step)
        self._known[factory] = step
        return step

    def _needs(self, factory: Callable[..., Any]) -> list[tuple[str, Callable[..., Any]]]:
        where = f"{self._kind}: the factory {name_of(factory)}{place_of(factory)}"
        for parameter in _parameters(factory):
            if parameter.default is Parameter.empty and parameter.kind not in _MANY:
                raise InvalidDependency(
                    f"{where} takes {parameter.name!r}, which nobody gives it: write a default or Provide(…) for it"
                )
        return list(provided(factory, where).items())

    def _refuse_threads(self, made: Factory, inner: list[Factory], place: str) -> None:
        for each in inner:
            if not each.asynchronous:
                raise InvalidDependency(
                    f"{self._kind}: it is a def job, and its asynchronous factory {made.name}{place} needs "
                    f"{each.name}, which is opened later, in the job's thread: make {each.name} async, or the job"
                )


def provided(fn: Callable[..., Any], where: str) -> dict[str, Callable[..., Any]]:
    """Return a function's parameters that have a `Provide` default, with their factories.

    ``where`` begins the message of what is refused, by `InvalidDependency`.
    """
    parameters = _parameters(fn)
    variadic = any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters)
    found: dict[str, Callable[..., Any]] = {}
    for parameter in parameters:
        if not isinstance(parameter.default, Provided):
            continue
        about = f"{where}: parameter {parameter.name!r}"
        if parameter.kind is Parameter.POSITIONAL_ONLY or (
            variadic and parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
        ):
            raise InvalidDependency(f"{about} is passed by name: write it after a *, or at least after the /")
        found[parameter.name] = _checked(parameter.default.factory, about)
    return found


def _checked(factory: object, about: str) -> Callable[..., Any]:
    if isinstance(factory, CoroutineType):
        factory.close()  # nobody will await it
    if isinstance(factory, CoroutineType | AsyncGeneratorType | GeneratorType):
        name = factory.__qualname__
        raise InvalidDependency(f"{about} was given what {name} makes once: write Provide({name}), not called")
    if not callable(factory):
        raise InvalidDependency(
            f"{about} was given {factory!r}, which cannot be called: Provide takes a function that makes the value"
        )
    try:
        hash(factory)
    except TypeError:
        raise InvalidDependency(
            f"{about} was given {factory!r}, which has no hash by which it could be shared: provide a function"
        ) from None
    return factory


def _parameters(fn: Callable[..., Any]) -> Sequence[Parameter]:
    try:
        return tuple(inspect.signature(fn).parameters.values())
    except ValueError:
        return ()  # a builtin that tells nothing of itself
