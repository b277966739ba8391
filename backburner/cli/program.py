"""The program: its commands, each loaded when it is called, and what every error comes to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from backburner.cli.exits import Exit, Failed, exit_of
from backburner.cli.lazy import Entry, LazyGroup
from backburner.cli.piping import readers_may_go
from backburner.errors import BackburnerError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

_EXITS = """\b
Data goes to stdout, all else to stderr. Piped, data is tab-separated, whole
and uncoloured; --json makes JSON.
Exit codes: 0 done, 1 in part or a finding, 2 usage or refused, 3 nothing
matched, 4 store unreachable or not permitted, 5 schema, 130 interrupted,
141 nobody read the rest (as when piped to head)."""

#: Where Python puts bytes of arguments that are no text.
_ESCAPED = 0xDC00

_JOBS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.jobs.list", "List jobs, newest first."),
    "show": Entry("backburner.cli.jobs.show", "Show one job: arguments, attempts, errors, what it waits for."),
    "why": Entry("backburner.cli.jobs.why", "Say what a job waits for, and until when."),
    "cancel": Entry("backburner.cli.jobs.cancel", "Cancel jobs, by id or by filter."),
    "stats": Entry("backburner.cli.jobs.stats", "Count what ended by kind; how long it waited and ran."),
    "run-now": Entry("backburner.cli.jobs.run_now", "Have jobs that are due later be due now."),
}
_DLQ: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.dlq.list", "List dead letters, newest first."),
    "groups": Entry("backburner.cli.dlq.groups", "Show dead letters by cause."),
    "show": Entry("backburner.cli.dlq.show", "Show one dead letter: arguments, every attempt and traceback."),
    "replay": Entry("backburner.cli.dlq.replay", "Bring dead letters back."),
    "purge": Entry("backburner.cli.dlq.purge", "Delete dead letters for good."),
    "export": Entry("backburner.cli.dlq.export", "Write dead letters to a file."),
    "import": Entry("backburner.cli.dlq.import_", "Store the dead letters of a file."),
}
_REPLAYS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.replays.list", "List replays, purges and imports: who did what, and why."),
    "watch": Entry("backburner.cli.replays.watch", "Follow a replay or purge to its end."),
    "stop": Entry("backburner.cli.replays.stop", "Stop a replay or purge."),
}
_QUEUES: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.queues.list", "List queues: how full, and what is set for them by whom."),
    "pause": Entry("backburner.cli.queues.pause", "Start no more jobs of a queue."),
    "resume": Entry("backburner.cli.queues.resume", "Start jobs of a queue again."),
    "set": Entry("backburner.cli.queues.set", "Set a queue's slots a node, and its rate."),
}
_KINDS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.kinds.list", "List kinds: who knows them, and which are paused by whom."),
    "pause": Entry("backburner.cli.kinds.pause", "Start no more jobs of a kind."),
    "resume": Entry("backburner.cli.kinds.resume", "Start jobs of a kind again."),
}
_BREAKERS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.breakers.list", "List circuit breakers: open or closed, since when, by whom."),
    "open": Entry("backburner.cli.breakers.open", "Open a breaker, whatever becomes of the dependency."),
    "auto": Entry("backburner.cli.breakers.auto", "Let a breaker go by how runs end again."),
}
_LIMITS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.limits.list", "List limits: declared, set by whom, and how much is used."),
    "set": Entry("backburner.cli.limits.set", "Set what a lane allows, in place of what code declares."),
    "reset": Entry("backburner.cli.limits.reset", "Let what code declares hold again."),
}
_SCHEDULES: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.schedules.list", "List schedules: when they are due, last, next, how far behind."),
    "show": Entry(
        "backburner.cli.schedules.show", "Show one schedule: rule, policies, job, its last ticks and its next."
    ),
    "add": Entry("backburner.cli.schedules.add", "Have a job stored by cron, in an interval, or once; or change that."),
    "remove": Entry("backburner.cli.schedules.remove", "Remove a schedule."),
    "pause": Entry("backburner.cli.schedules.pause", "Have a schedule store no more jobs."),
    "resume": Entry("backburner.cli.schedules.resume", "Have a schedule store jobs again."),
    "trigger": Entry("backburner.cli.schedules.trigger", "Store a job of a schedule now."),
    "preview": Entry(
        "backburner.cli.schedules.preview", "Show what comes next, and what changes of the clocks do to it."
    ),
    "ticks": Entry("backburner.cli.schedules.ticks", "List what became of ticks: fired, skipped and why, how late."),
    "backfill": Entry("backburner.cli.schedules.backfill", "Store jobs for ticks of the past that had none."),
}
_EVENTS: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.events.list", "List events, newest first: what happened, who did what, and why."),
    "tail": Entry("backburner.cli.events.tail", "Show events as they come."),
    "subscriptions": Entry(
        "backburner.cli.events.subscriptions", "List who asks for events, and how far behind they are."
    ),
    "unsubscribe": Entry("backburner.cli.events.unsubscribe", "Forget who asks for events."),
}
_NODES: Mapping[str, Entry] = {
    "list": Entry("backburner.cli.nodes.list", "List the nodes: who runs which queues, and who died."),
    "drain": Entry("backburner.cli.nodes.drain", "Let a node take no new work and end what it runs."),
}
_DB: Mapping[str, Entry] = {
    "upgrade": Entry("backburner.cli.db.upgrade", "Create the store, or bring its schema up to date."),
    "plan": Entry("backburner.cli.db.plan", "Show what an upgrade would do, and its SQL."),
    "sql": Entry("backburner.cli.db.sql", "Print the SQL of the whole schema, or of a role's grants."),
    "check": Entry("backburner.cli.db.check", "Check that the store is there and its schema is current."),
}
_PROGRAM: Mapping[str, Entry | click.Group] = {
    "demo": Entry("backburner.cli.demo", "Watch real work survive a kill -9."),
    "run": Entry("backburner.cli.run", "Run jobs in a worker process without a web app."),
    "status": Entry("backburner.cli.status.command", "Say what is wrong now, on one screen."),
    "top": Entry("backburner.cli.top.command", "Watch the store live: queues, running jobs, failures."),
    "jobs": LazyGroup("jobs", _JOBS, help="Look at jobs, cancel them, have them run now."),
    "dlq": LazyGroup("dlq", _DLQ, help="Look at dead letters, bring them back, delete them, carry them."),
    "replays": LazyGroup("replays", _REPLAYS, help="Look at replays and purges, and stop them."),
    "queues": LazyGroup("queues", _QUEUES, help="Look at queues, pause and limit them."),
    "kinds": LazyGroup("kinds", _KINDS, help="Look at kinds of jobs and pause them."),
    "breakers": LazyGroup("breakers", _BREAKERS, help="Look at circuit breakers and open them."),
    "limits": LazyGroup("limits", _LIMITS, help="Look at limits and change them."),
    "schedules": LazyGroup("schedules", _SCHEDULES, help="Look at schedules and their ticks, and change them."),
    "events": LazyGroup("events", _EVENTS, help="Look at events, follow them, and see who asks for them."),
    "nodes": LazyGroup("nodes", _NODES, help="Look at nodes and drain them."),
    "db": LazyGroup("db", _DB, help="Look after the store's schema."),
    "move": Entry("backburner.cli.move", "Carry the jobs and schedules of one store into another."),
    "backoff": Entry("backburner.cli.backoff", "Show when a retry policy tries again."),
    "doctor": Entry("backburner.cli.doctor", "Look a store over, and say how to mend what is wrong."),
    "completion": Entry("backburner.cli.completion", "Print what completes commands in bash, zsh or fish."),
}


class _Program(LazyGroup):
    def make_context(self, *args: Any, **extra: Any) -> click.Context:  # noqa: ANN401 - click's own signature
        """Read the program's own options, of which --help and --version write."""
        # Names come in every script; not every terminal has it, and a table keeps its columns.
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace" if sys.stdout.isatty() else "backslashreplace")
        with readers_may_go():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; what it raises becomes one line and an exit code."""
        try:
            with readers_may_go():
                return super().invoke(ctx)
        except BackburnerError as error:
            raise Failed(str(error), exit_of(error)) from error
        except OSError as error:
            raise Failed(str(error), Exit.PARTLY) from error
        except UnicodeEncodeError as error:
            byte = ord(error.object[error.start]) - _ESCAPED
            if not 0x80 <= byte <= 0xFF:  # noqa: PLR2004 - what ASCII is not
                raise
            raise Failed(
                f"byte {byte:#x} of what was given is no UTF-8: have the terminal and the locale (LANG) agree",
                Exit.REFUSED,
            ) from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("\ninterrupted", err=True)
            ctx.exit(Exit.INTERRUPTED)


main = click.version_option(package_name="backburner", message="backburner %(version)s")(
    _Program("backburner", _PROGRAM, help="Operate a backburner store.", epilog=_EXITS)
)
