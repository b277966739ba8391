"""The program: its commands, each loaded when it is called, and what every error comes to."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import click

from backburner.cli.exits import Exit, Failed, exit_of
from backburner.cli.lazy import Entry, LazyGroup
from backburner.errors import BackburnerError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

_EXITS = """\b
Data goes to stdout, all else to stderr. Piped, data is tab-separated, whole and uncoloured; --json makes JSON.
Exit codes: 0 done, 1 in part or a finding, 2 usage or refused, 3 nothing matched, 4 store unreachable or not
permitted, 5 schema, 130 interrupted."""

_JOBS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.jobs.list", "List jobs, newest first."),
    "show": Entry("backburner.cli.jobs.show", "Show one job: arguments, attempts, errors, what it waits for."),
    "cancel": Entry("backburner.cli.jobs.cancel", "Cancel jobs, by id or by filter."),
}
_NODES: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.nodes.list", "List the nodes: who runs which queues, and who died."),
    "drain": Entry("backburner.cli.nodes.drain", "Let a node take no new work and end what it runs."),
}
_DB: Mapping[str, Entry] = {
    "upgrade": Entry("backburner.cli.db.upgrade", "Create the store, or bring its schema up to date."),
    "plan": Entry("backburner.cli.db.plan", "Show what an upgrade would do, and its SQL."),
    "sql": Entry("backburner.cli.db.sql", "Print the SQL of the whole schema."),
    "check": Entry("backburner.cli.db.check", "Check that the store is there and its schema is current."),
}
_PROGRAM: Mapping[str, Entry | click.Group] = {
    "demo": Entry("backburner.cli.demo", "Watch real work survive a kill -9."),
    "run": Entry("backburner.cli.run", "Run jobs in a worker process without a web app."),
    "jobs": LazyGroup("jobs", _JOBS, help="Look at jobs and cancel them."),
    "nodes": LazyGroup("nodes", _NODES, help="Look at nodes and drain them."),
    "db": LazyGroup("db", _DB, help="Look after the store's schema."),
}


class _Program(LazyGroup):
    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; what it raises becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except BackburnerError as error:
            raise Failed(str(error), exit_of(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # click ends quietly
                raise
            raise Failed(str(error), Exit.PARTLY) from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("\ninterrupted", err=True)
            ctx.exit(Exit.INTERRUPTED)


main = click.version_option(package_name="backburner", message="backburner %(version)s")(
    _Program("backburner", _PROGRAM, help="Operate a backburner store.", epilog=_EXITS)
)
