"""The command line: one file a verb, imported only when it is called, so that `--help` is instant."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module

import click

from provisioner import __version__
from provisioner.cli import output
from provisioner.errors import ExitCode, Interrupted, ProvisionError, UsageError
from provisioner.nearest import nearest_hint

VERBS = {
    "up": "Bring machines to a model that answers; run again, it confirms that in a second.",
    "plan": "Say what goes on a box and what fits in its memory, or why not; changes nothing.",
    "preflight": "Say what machines really are and what stands in the way there; changes nothing.",
    "verify": "Compare machines with their receipts, item by item; changes nothing.",
    "facts": "Show what the probe reads on machines.",
    "smoke": "Let the model on machines answer again, now.",
    "down": "Take off what was put on, and put back what was there before.",
    "profiles": "List what can be provisioned: size, licence and needs.",
}


class Verbs(click.Group):
    """Verbs by name; a mistyped one names the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order they are used."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module, and only that."""
        if cmd_name not in VERBS:
            return None
        command = import_module(f"provisioner.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which verb was probably meant."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise UsageError(f"no such verb: {args[0]}", hint=nearest_hint(args[0], list(VERBS)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="provision")
def provision() -> None:
    """Take a machine that has just booted and leave it with a model that has just answered.

    Without --host or -i every verb works on this machine.
    """


def main() -> None:
    """Entry point: one place where errors become lines, a JSON document and exit codes."""
    output.escape_what_cannot_be_shown()
    try:
        sys.exit(int(provision.main(prog_name="provision", standalone_mode=False) or 0))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (Exception, KeyboardInterrupt) as error:
        failure = _as_ours(error)
        if failure is None:
            raise
    output.failure(failure)
    if "--json" in sys.argv[1:]:
        # Where the disk behind standard output is full, the document of that cannot be printed either.
        with contextlib.suppress(OSError):
            output.failure_document(failure)
    output.drop_what_has_no_room()
    sys.exit(failure.code)


def _as_ours(error: BaseException) -> ProvisionError | None:
    """What a person must know of an error; None for a defect."""
    match error:
        case ProvisionError():
            return error
        case click.Abort() | KeyboardInterrupt():
            return Interrupted()
        case click.ClickException():
            command = getattr(error, "ctx", None)
            asked = command.command_path if command else "provision"
            return UsageError(error.format_message(), hint=f"{asked} --help")
        case OSError():
            # A file or folder of this machine: those of the others come as errors that name them.
            where = f"{error.filename}: " if error.filename else ""
            why = error.strerror or str(error)
            return ProvisionError(f"{where}{why}", hint="see that it is there, may be used, and has room")
        case _:
            return None
