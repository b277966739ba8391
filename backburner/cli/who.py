"""Who asks, and why: what an audit keeps."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["audit_options", "by_option"]


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return None


by_option = click.option("--by", metavar="NAME", default=_user, help="Who asks.  [default: your user name]")


def audit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--reason`` and ``--by`` to a command, which takes them as ``reason`` and ``by``."""
    reason = click.option("--reason", metavar="TEXT", help="Why, such as INC-4711; kept in the audit.")
    return reason(by_option(command))
