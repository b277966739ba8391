"""Numbers as policies take them, checked."""

from __future__ import annotations

from backburner.errors import InvalidOption

__all__ = ["check_share", "check_whole"]


def check_whole(value: object, option: str, *, most: int | None = None) -> None:
    """Raise `InvalidOption` unless this is a whole number from 1 (to ``most``)."""
    if type(value) is not int or value < 1 or (most is not None and value > most):
        upto = "" if most is None else f" to {most}"
        raise InvalidOption(f"{option}={value!r} must be a whole number from 1{upto}", option=option)


def check_share(value: object, option: str, mend: str, *, least: float = 0, most: float = 1) -> None:
    """Raise `InvalidOption` unless this is a number from ``least`` to ``most``; ``mend`` shows one with its meaning."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidOption(f"{option}={value!r} must be a number from {least:g} to {most:g}: {mend}", option=option)
