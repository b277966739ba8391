"""A job's signature: how arguments are bound, written, read and handed to the function."""

from __future__ import annotations

import inspect
from functools import cached_property
from inspect import Parameter
from typing import TYPE_CHECKING, Any, cast

import msgspec

from backburner.codec.annotations import NOTHING, Annotation, annotation_text, resolve
from backburner.codec.marks import TRACE, escaped, secrets_in, unmarked
from backburner.codec.payloads import UNFIT, decoder, has_nul, write
from backburner.codec.refusals import misfit, refusal
from backburner.codec.schema import schema_of
from backburner.codec.scrubber import Scrubber
from backburner.codec.secrecy import secrecy_of
from backburner.codec.secret import STARS
from backburner.codec.shapes import name_of
from backburner.codec.values import same, same_all, spell
from backburner.errors import ArgumentNotStorable, InvalidArguments, NotAJob, PayloadNotReadable, ResultNotStorable

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from backburner.codec.secrecy import Secrecy

__all__ = ["Signature"]

#: Values of these types themselves, not of subclasses, are JSON as they are. Not float: there is NaN.
_EXACT = (str, int, bool)
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_astuple = msgspec.structs.astuple
_TOO_DEEP = "nested too deeply to keep its secrets apart"


class _Words(str):
    """Text that is its own representation: a stringified annotation without its quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Signature:
    """What a job takes and returns. Made once, where the job is declared; its codecs are made when first needed.

    By then every class that an annotation names exists, also those written below the job.
    """

    def __init__(self, fn: Callable[..., object], kind: str, parameters: tuple[Parameter, ...]) -> None:
        self._fn = fn
        self._kind = kind
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._names = tuple(self._parameters)
        kinds = {parameter.kind for parameter in parameters}
        #: Nothing but plain parameters: all may be passed by name.
        self._plain = kinds <= {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
        #: Those passed by position: none where names do.
        self._by_position = tuple(
            parameter.name
            for parameter in parameters
            if parameter.kind is Parameter.POSITIONAL_ONLY
            or (parameter.kind in _POSITIONAL and Parameter.VAR_POSITIONAL in kinds)
        )
        self._positional = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self._required = frozenset(p.name for p in parameters if p.default is Parameter.empty)
        #: In the parameters' order, so that what is bound is too; the required ones are always given.
        self._defaults: dict[str, object] = {p.name: p.default for p in parameters}
        #: What the engines that know this job are told to hide, beside what its annotations say.
        self.named: frozenset[str] = frozenset()

    @classmethod
    def of(cls, fn: Callable[..., object], kind: str, *, exclude: Container[str] = ()) -> Signature:
        """Read a function's signature; parameters named in ``exclude`` are the engine's to fill, not the caller's."""
        every = tuple(inspect.signature(fn).parameters.values())
        signature = cls(fn, kind, tuple(parameter for parameter in every if parameter.name not in exclude))
        variadic = any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in every)
        for parameter in every:
            if parameter.name in exclude and (
                parameter.kind is Parameter.POSITIONAL_ONLY or (variadic and parameter.kind in _POSITIONAL)
            ):
                raise NotAJob(
                    f"{kind}: parameter {parameter.name!r} is filled by the engine, which passes it by name: "
                    "write it after a *"
                )
        return signature

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are stored, in order."""
        return self._names

    def describe(self) -> str:
        """Return the signature as text: ``send_email(to: str, subject: str = 'hi') -> str``."""
        shown = inspect.Signature(
            [self._worded(parameter) for parameter in self._parameters.values()],
            return_annotation=self._words(inspect.signature(self._fn).return_annotation),
        )
        return f"{self._kind}{shown}"

    # ---- binding ---------------------------------------------------------------------------------------------------

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments by name, in the order of the parameters, defaults applied.

        ``*args`` is a tuple under its name, ``**kwargs`` a dict under its. Raises `InvalidArguments`.
        """
        if not self._plain or len(args) > len(self._positional):
            return self._bind_slowly(args, kwargs)
        given: dict[str, object] = dict(zip(self._positional, args))  # noqa: B905 - it costs a fifth of binding
        if kwargs:
            given.update(kwargs)
        bound = self._defaults | given
        if len(given) < len(args) + len(kwargs) or len(bound) > len(self._names) or not given.keys() >= self._required:
            return self._bind_slowly(args, kwargs)
        return bound

    def spread(self, bound: Mapping[str, object]) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return bound arguments as the function takes them: ``fn(*args, **kwargs)``."""
        if self._plain:
            return (), dict(bound)
        args = [bound[name] for name in self._by_position]
        kwargs: dict[str, object] = {}
        for name, value in bound.items():
            kind = self._parameters[name].kind
            if kind is Parameter.VAR_POSITIONAL:
                args += cast("tuple[object, ...]", value)
            elif kind is Parameter.VAR_KEYWORD:
                kwargs |= cast("dict[str, object]", value)
            elif name not in self._by_position:
                kwargs[name] = value
        return tuple(args), kwargs

    def _bind_slowly(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        try:
            bound = inspect.Signature([*self._parameters.values()]).bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self._kind}() {error}; its signature is {self.describe()}") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    # ---- arguments -------------------------------------------------------------------------------------------------

    def encode(self, bound: Mapping[str, object]) -> str:
        """Return bound arguments as JSON text, one object by name.

        Raises `ArgumentNotStorable` for a value that cannot be stored or would not come back the same, with its path.
        """
        try:
            raw = write(bound)
            fits = tuple(map(type, bound.values())) == self._exact or same_all(
                (*bound.values(),), _astuple(self._decode(raw))
            )
        except UNFIT as error:
            raise self._not_storable(bound) from self._told(error)
        text = raw.decode()
        if not fits or ("\\" in text and has_nul(text)):
            raise self._not_storable(bound)
        secrecy = self._secrecy
        # A look for one character costs next to nothing, and spares nearly all texts the search.
        if secrecy is None and ("$" not in text or TRACE not in text):
            return text
        try:
            return escaped(text) if secrecy is None else secrecy.arguments.mark(text)
        except RecursionError:
            raise ArgumentNotStorable(f"{self._kind}(): the arguments are {_TOO_DEEP}, store them flat") from None

    def decode(self, text: str) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return stored arguments as the function takes them, typed by its annotations.

        A parameter added since, with a default, takes it. Raises `PayloadNotReadable` for what does not fit.
        """
        try:
            values = _astuple(self._decode(unmarked(text) if "$" in text and TRACE in text else text))
        except UNFIT as error:
            raise self._not_readable(text, error) from self._told(error, text)
        bound = dict(zip(self._names, values))  # noqa: B905 - one value a field, and this is the hot path
        return ((), bound) if self._plain else self.spread(bound)

    def _not_storable(self, bound: Mapping[str, object]) -> ArgumentNotStorable:
        path, why = refusal(dict(bound), self._read, lambda path: self._annotations[str(path[0])])
        if self._secrecy is not None:
            why = self._secrecy.scrubber(dict(bound))(why)
        where = spell(path)
        about = f"argument {where}" if where else "an argument"
        return ArgumentNotStorable(f"{self._kind}(): {about} {why}", path=where or None)

    def _not_readable(self, text: str, error: Exception) -> PayloadNotReadable:
        clean = self.secrets(text) or str
        path, why = misfit(self._read, _readable(text), error)
        where = spell(path)
        about = (
            f"stored argument {where} {clean(why)}"
            if where
            else f"the stored arguments cannot be read: {clean(str(error))}"
        )
        return PayloadNotReadable(
            f"{self._kind}(): {about}; the signature here is {self.describe()}", path=where or None
        )

    def _read(self, raw: bytes) -> dict[str, object]:
        return dict(zip(self._names, _astuple(self._decode(raw)), strict=True))

    # ---- results ---------------------------------------------------------------------------------------------------

    def encode_result(self, value: object, limit: int | None = None) -> str:
        """Return a result as JSON text, of at most ``limit`` bytes; raises `ResultNotStorable` as `encode` does.

        None may always be returned.
        """
        if value is None:
            return "null"
        try:
            raw = write(value)
            fits = same(value, self._decode_result(raw))
        except UNFIT as error:
            raise self._result_not_storable(value) from self._told(error)
        text = raw.decode()
        if not fits or ("\\" in text and has_nul(text)):
            raise self._result_not_storable(value)
        secrecy = self._secrecy
        if secrecy is not None or ("$" in text and TRACE in text):
            try:
                text = escaped(text) if secrecy is None else secrecy.result.mark(text)
            except RecursionError:
                raise ResultNotStorable(f"{self._kind}(): the result is {_TOO_DEEP}, store it flat") from None
        if limit is not None and len(text) * 4 > limit and len(text.encode()) > limit:
            raise ResultNotStorable(
                f"{self._kind} returned {len(text.encode()):,} bytes; the limit is {limit:,}; store the data where it "
                "belongs and return its name"
            )
        return text

    def decode_result(self, text: str) -> Any:  # noqa: ANN401 - whatever the job returned
        """Return a stored result, typed by the return annotation; raises `PayloadNotReadable`."""
        if text == "null":
            return None
        try:
            return self._decode_result(unmarked(text) if "$" in text and TRACE in text else text)
        except UNFIT as error:
            path, why = misfit(self._decode_result, _readable(text), error)
            where = spell(("result", *path))
            clean = Scrubber(secrets_in(text))
            raise PayloadNotReadable(
                f"{self._kind}(): the stored {where} {clean(why)}; the signature here is {self.describe()}", path=where
            ) from self._told(error, text)

    def _result_not_storable(self, value: object) -> ResultNotStorable:
        annotation = self._annotations.get("return", NOTHING)
        path, why = refusal(value, self._decode_result, lambda _: annotation, root=("result",))
        if self._secrecy is not None:
            why = self._secrecy.scrubber(value)(why)
        where = spell(path)
        return ResultNotStorable(f"{self._kind}(): the {where} {why}", path=where)

    def marked(self, text: str) -> str:
        """Return stored arguments with the secrets marked that this signature has too: whoever wrote them may not know it.

        Raises `PayloadNotReadable`.
        """
        if self._secrecy is None:
            return text
        try:
            return self._secrecy.marked(text)
        except UNFIT as error:
            raise self._not_readable(text, error) from None

    def saved(self, text: str) -> str:
        """Return what is stored of plain JSON text that a run saves: a checkpoint. Raises `ArgumentNotStorable`."""
        try:
            if self._secrecy is not None:
                return self._secrecy.saved.mark(text)
            return escaped(text) if TRACE in text else text
        except RecursionError:
            raise ArgumentNotStorable(f"{self._kind}(): the checkpoint is {_TOO_DEEP}, store it flat") from None

    # ---- secrets ---------------------------------------------------------------------------------------------------

    def hide(self, names: Iterable[str]) -> None:
        """Hide more: members of a name, wherever they are in arguments and result; or one dotted path into arguments."""
        named = self.named | frozenset(names)
        if named != self.named:
            self.named = named
            for made in ("_secrecy", "schema"):
                self.__dict__.pop(made, None)

    def secrets(self, text: str) -> Scrubber | None:
        """Return what cleans texts about a run with these stored arguments; None where it has no secrets."""
        if self._secrecy is not None:
            return self._secrecy.secrets(text)
        return Scrubber(secrets_in(text)) if TRACE in text else None

    def shown(self, bound: Mapping[str, object]) -> Mapping[str, str]:
        """Return how bound arguments may be shown."""
        if self._secrecy is not None:
            return self._secrecy.shown(bound)
        return {name: repr(value) for name, value in bound.items()}

    def _told(self, error: Exception, stored: str = "") -> Exception | None:
        """Return an error as the cause of ours; None if it may quote a secret."""
        return error if self._secrecy is None and TRACE not in stored else None

    # ---- made when first needed ------------------------------------------------------------------------------------

    @cached_property
    def schema_name(self) -> str:
        """8 hex characters that name what the stored arguments look like, alike in every process (`shapes`)."""
        return name_of(
            (parameter.name, self._annotations[parameter.name], _default(parameter) is msgspec.NODEFAULT)
            for parameter in self._parameters.values()
        )

    @cached_property
    def schema(self) -> str:
        """JSON text: a JSON Schema of the object that the stored arguments are (`schema_of`)."""
        hidden = frozenset[str]() if self._secrecy is None else self._secrecy.whole
        return schema_of(self._parameters.values(), self._annotations, hidden)

    @cached_property
    def _secrecy(self) -> Secrecy | None:
        return secrecy_of(self._annotations, self._names, self.named)

    @cached_property
    def _annotations(self) -> Mapping[str, Annotation]:
        return resolve(self._fn, self._parameters.values())

    @cached_property
    def _exact(self) -> tuple[type, ...] | None:
        """The types of arguments that come back the same without a look, where every parameter has such a type."""
        types = tuple(self._annotations[name].type for name in self._names)
        return types if all(each in _EXACT for each in types) else None

    @cached_property
    def _decode_result(self) -> Callable[[str | bytes], Any]:
        return decoder(self._annotations.get("return", NOTHING).type).decode

    @cached_property
    def _decode(self) -> Callable[[str | bytes], Any]:
        # Its fields have neutral names: a parameter may be called anything, `__struct_fields__` too.
        fields = [
            (f"p{number}", self._annotations[parameter.name].type, _default(parameter))
            for number, parameter in enumerate(self._parameters.values())
        ]
        renamed = {field[0]: name for field, name in zip(fields, self._names, strict=True)}
        struct = msgspec.defstruct(
            "Arguments", fields, kw_only=True, forbid_unknown_fields=True, rename=renamed, gc=False
        )
        return decoder(struct).decode

    def _worded(self, parameter: Parameter) -> Parameter:
        if (
            self._secrecy is not None
            and parameter.name in self._secrecy.whole
            and parameter.default is not Parameter.empty
        ):
            parameter = parameter.replace(default=_Words(STARS))
        return parameter.replace(annotation=self._words(parameter.annotation))

    @staticmethod
    def _words(annotation: object) -> object:
        return annotation if annotation is Parameter.empty else _Words(annotation_text(annotation))


def _readable(text: str) -> bytes:
    """Return stored JSON as it was handed to a decoder; what cannot even be unmarked, as it is stored."""
    try:
        return unmarked(text).encode()
    except UNFIT:
        return text.encode()


def _default(parameter: Parameter) -> Any:  # noqa: ANN401 - a default, or msgspec's word for none
    match parameter.kind:
        case Parameter.VAR_POSITIONAL:
            return ()
        case Parameter.VAR_KEYWORD:
            return msgspec.field(default_factory=dict[str, object])
        case _ if parameter.default is Parameter.empty:
            return msgspec.NODEFAULT
        case _:
            return msgspec.field(default_factory=lambda: parameter.default)
