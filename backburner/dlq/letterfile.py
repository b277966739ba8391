"""Files of dead letters: JSON Lines, a header and then a whole job a line.

The fields go by their names, so that a line can be read by eye and by `jq`, and a file outlives their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from backburner.codec.marks import masked, secrets_in
from backburner.errors import InvalidOption, LetterFileRefused
from backburner.model.job import Attempt, JobImage, JobRecord, JobState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HEADER", "Reader", "Secrets", "line_of"]

#: What becomes of secrets in a file: they are written as they are, or masked, and then it can be read but not imported.
Secrets = Literal["keep", "mask"]

_NAME: Final = "backburner.dead-letters"
_VERSION: Final = 1


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    version: int


#: The first line.
HEADER: Final = msgspec.json.encode(_Header(_NAME, _VERSION))

# A field that is not known would be lost: its file is of a newer version, and refused.
_Record: Any = msgspec.defstruct(
    "_Record",
    [
        (field.name, field.type, field.default) if not field.required else (field.name, field.type)
        for field in msgspec.structs.fields(JobRecord)
    ],
    kw_only=True,
    forbid_unknown_fields=True,
)


class _Line(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An image, its record by the names of its fields."""

    record: msgspec.Raw
    unique_states: tuple[JobState, ...] = ()
    unique_until: int | None = None
    history: tuple[Attempt, ...] = ()
    #: It had secrets, which are not in the file.
    masked: bool = False


_records = msgspec.json.Decoder(_Record)
_lines = msgspec.json.Decoder(_Line)
_headers = msgspec.json.Decoder(_Header)
_encoder = msgspec.json.Encoder()


def line_of(image: JobImage, secrets: Secrets | None = None) -> bytes:
    """Return a job as a line, without its end; raises `InvalidOption` for secrets of which nothing is said."""
    record, hidden = image.record, False
    if secrets != "keep" and any(map(secrets_in, _payloads(record))):
        if secrets is None:
            raise InvalidOption(
                f"job {record.id} has secrets: say secrets='keep' (--secrets keep) to have them in the file, or "
                "secrets='mask' (--secrets mask) for a file without them, which cannot be imported",
                option="secrets",
            )
        args, result, checkpoint = map(masked, _payloads(record))
        record = msgspec.structs.replace(
            record,
            args=args,
            result=None if record.result is None else result,
            checkpoint=None if record.checkpoint is None else checkpoint,
        )
        hidden = True
    line = _Line(
        record=msgspec.Raw(_encoder.encode(msgspec.structs.asdict(record))),
        unique_states=image.unique_states,
        unique_until=image.unique_until,
        history=image.history,
        masked=hidden,
    )
    return _encoder.encode(line)


def _payloads(record: JobRecord) -> tuple[str, str, str]:
    return record.args, record.result or "", record.checkpoint or ""


class Reader:
    """Reads a file line by line; raises `LetterFileRefused` for the first that is broken or foreign.

    ``flaw`` says what keeps a job from being stored, None for nothing.
    """

    def __init__(self, flaw: Callable[[JobImage], str | None]) -> None:
        self._flaw = flaw
        #: The number of the line that was read last.
        self.line = 0

    def read(self, line: bytes) -> JobImage | None:
        """Return the job of the next line; None for the header, and for an empty line."""
        self.line += 1
        if self.line == 1:
            self._check_header(line)
            return None
        if not line.strip():
            return None
        image = self._image(line)
        if image.record.state is not JobState.DEAD:
            raise self._refused(f"job {image.record.id} is {image.record.state}, and no dead letter")
        flaw = self._flaw(image)
        if flaw is not None:
            raise self._refused(f"job {image.record.id} cannot be stored: {flaw}")
        return image

    def close(self) -> None:
        """Check that there was a header at all."""
        if self.line == 0:
            self.line = 1
            raise self._refused(
                "the file is empty, without the header of an export: write it anew with `backburner dlq export`"
            )

    def _image(self, line: bytes) -> JobImage:
        try:
            read = _lines.decode(line)
            record = _records.decode(read.record)
        except msgspec.ValidationError as error:
            raise self._refused(f"this is no dead letter as this backburner writes them: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._refused(f"this is not JSON: {error}") from error
        if read.masked:
            raise self._refused(
                f"job {record.id} was exported with its secrets masked, and could not run with *** for them: export it "
                "with --secrets keep"
            )
        return JobImage(
            record=JobRecord(**{name: getattr(record, name) for name in JobRecord.__struct_fields__}),
            unique_states=read.unique_states,
            unique_until=read.unique_until,
            history=read.history,
        )

    def _check_header(self, line: bytes) -> None:
        try:
            header = _headers.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._refused(f"an export begins with {HEADER.decode()}") from error
        if header.format != _NAME:
            raise self._refused(f"this is a file of {header.format!r}, not of {_NAME}")
        if header.version != _VERSION:
            raise self._refused(f"the file is of version {header.version}, and version {_VERSION} can be read here")

    def _refused(self, why: str) -> LetterFileRefused:
        return LetterFileRefused(f"line {self.line}: {why}", line=self.line)
