"""The command line. Each command group lives in a file of its own, imported when it is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn, cast

import click

from siteferry import __version__
from siteferry.cli.options import GlobalOptions
from siteferry.errors import SiteferryError

COMMANDS = {
    "init": ("siteferry.cli.init", "init"),
    "import": ("siteferry.cli.importing", "import_command"),
    "plan": ("siteferry.cli.planning", "plan"),
    "runs": ("siteferry.cli.runs", "runs"),
    "status": ("siteferry.cli.runs", "status"),
    "watch": ("siteferry.cli.runs", "watch"),
    "retry": ("siteferry.cli.ending", "retry"),
    "cancel": ("siteferry.cli.ending", "cancel"),
    "account": ("siteferry.cli.account", "account"),
    "credential": ("siteferry.cli.credential", "credential"),
    "config": ("siteferry.cli.config", "config"),
    "explain": ("siteferry.cli.explain", "explain"),
    "worker": ("siteferry.cli.worker", "worker"),
    "beat": ("siteferry.cli.beat", "beat"),
    "schedule": ("siteferry.cli.schedule", "schedule"),
    "flower": ("siteferry.cli.flower", "flower"),
    "demo": ("siteferry.cli.demo", "demo"),
}
"""Command -> module and attribute."""

SUMMARIES = {
    "init": "Write the first configuration of a website.",
    "import": "Publish websites: workspace to host.",
    "plan": "Show what an import would do.",
    "runs": "List the latest runs.",
    "status": "Show one run, or the latest.",
    "watch": "Follow a run until it ends.",
    "retry": "Go on with a run that ended before it was done.",
    "cancel": "End a run that has not begun to publish.",
    "account": "List accounts whose login is stopped; resume one.",
    "credential": "Add, list, test and migrate credentials.",
    "config": "Check the configuration; print its schema.",
    "explain": "Say why a path is published, or left out.",
    "worker": "Carry out the tasks of runs until stopped.",
    "beat": "Start what schedules ask for, until stopped.",
    "schedule": "List schedules: next times, last results.",
    "flower": "Show the tasks of all workers on a web page.",
    "demo": "Publish an example website to a server of its own.",
}


class LazyGroup(click.Group):
    """Imports a command when it is called, so that `--help` imports neither Celery nor an SDK."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        # Models are made by the thousand objects, none of them garbage: a tenth of the start.
        gc.disable()
        try:
            command = getattr(importlib.import_module(module), attribute)
        finally:
            gc.enable()
        return cast(click.Command, command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from SUMMARIES, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration file; default SITEFERRY_CONFIG, then ./config/siteferry.yaml.",
)
@click.option(
    "--redis",
    metavar="URL",
    help="Redis to use; default SITEFERRY_REDIS_URL, then the configuration, then a private one.",
)
@click.option(
    "--credential-backend",
    metavar="NAME",
    help="Store of credentials; default SITEFERRY_CREDENTIAL_BACKEND, then the configuration.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"]),
    help="What is logged to standard error; default from the configuration, then warning.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="One line for each event.")
@click.version_option(__version__, prog_name="siteferry")
@click.pass_context
def cli(
    ctx: click.Context,
    config: Path | None,
    redis: str | None,
    credential_backend: str | None,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Publish whole websites to FTP/FTPS hosting, and bring them back.

    \b
    siteferry init example          write a first configuration
    siteferry import example        publish it
    siteferry status                what became of it
    """
    ctx.obj = GlobalOptions(config, redis, log_level, log_format, credential_backend)


def main() -> None:
    """The console script: runs a command, and ends the process with its exit code."""
    if os.getpid() == 1:
        _obey_sigterm()
    try:
        _run()
        status: object = 0
    except SystemExit as ending:
        status = ending.code or 0
    if isinstance(status, int):
        _leave(status)
    sys.exit(str(status))


def _obey_sigterm() -> None:
    """End at SIGTERM with code 143, as a shell tells it. A container's first process has no default
    action for it (pid_namespaces(7)), and would be waited for and killed. What has a way of its own
    to stop, as workers have, takes the place of this one."""
    import signal

    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))


def _leave(status: int) -> NoReturn:
    """End the process at once: to take all its objects apart, one by one, would keep whoever waits
    for the command another 75 ms. What other threads do, or a stream that cannot be written, is
    left to Python's own end."""
    others = (t for t in threading.enumerate() if t is not threading.main_thread())
    if all(thread.daemon for thread in others):
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None:  # a process may be started without
                    stream.flush()
            except (OSError, ValueError):
                sys.exit(status)
        os._exit(status)
    sys.exit(status)


def _run() -> None:
    """Run a command, and turn an error into a message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # whatever the locale, no name may break output
    try:
        # Click gives what a command has asked to end with (`ctx.exit`), or what it returned.
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except SiteferryError as error:
        from siteferry.report.as_text import one_line

        for line in f"siteferry: {error}".splitlines():
            click.echo(one_line(line), err=True)
        sys.exit(error.exit_code)
