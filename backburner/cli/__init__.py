"""The command line: it operates a store by its URL, and never needs the app's code, `run` and `demo` apart."""

from backburner.cli.program import main

__all__ = ["main"]
