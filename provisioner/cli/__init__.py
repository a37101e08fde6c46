"""The command line: one file a verb, imported only when it is called, so that `--help` is instant."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from provisioner import __version__
from provisioner.errors import ExitCode, ProvisionError, UsageError
from provisioner.nearest import nearest_hint

VERBS = {
    "up": "Bring machines to a model that answers; run again, it confirms that in a second.",
    "verify": "Compare machines with their receipts, item by item; changes nothing.",
    "facts": "Show what the probe reads on machines.",
    "smoke": "Let the model on machines answer again, now.",
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
    """Entry point: one place where errors become lines and exit codes."""
    try:
        code = provision.main(prog_name="provision", standalone_mode=False)
    except ProvisionError as error:
        _say(error.message, error.hint)
        code = error.code
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = ExitCode.USAGE
    except click.ClickException as error:
        command = getattr(error, "ctx", None)
        _say(error.format_message(), f"{command.command_path if command else 'provision'} --help")
        code = ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted", "what was started on the machines goes on; run the same again")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        code = ExitCode.DONE
    sys.exit(int(code or 0))


def _say(message: str, hint: str | None) -> None:
    click.echo(f"provision: {message}", err=True)
    if hint:
        click.echo(f"  next: {hint}", err=True)
