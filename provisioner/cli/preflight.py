"""`provision preflight`: what firmware, slots, memory and disks really are, before anything is put there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli import options, output
from provisioner.errors import ExitCode, ProvisionError, UsageError

if TYPE_CHECKING:
    from provisioner.report.preflight import PreflightHost
    from provisioner.report.preflight_words import Line


@click.command("preflight")
@options.where
@options.judged
@click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR", help="A recorded machine's /proc and /sys."
)
@click.option("--strict", is_flag=True, help="Warnings end in 3 too.")
@click.option("--no-network", is_flag=True, help="Ask no mirror for an answer.")
@click.option(
    "--explain", metavar="ID", help="What a check means, why it matters, how to fix it; asks nobody."
)
@click.option("--fix", is_flag=True, help="Mend what is safe to mend, and look again.")
@click.option("--check", is_flag=True, help="With --fix: only say what it would do; exit 5 if anything.")
@click.option("--no-packages", is_flag=True, help="Leave the package database alone.")
@click.option("--bench", is_flag=True, help="Measure the disk and the memory: four seconds, reads only.")
@click.option("--all", "everything", is_flag=True, help="Show what is fine too, and where it was read.")
@options.as_json
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write it as JUnit's XML.")
@click.option("--sarif", type=click.Path(path_type=Path), metavar="FILE", help="Write it as SARIF 2.1.0.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write it as a page.")
def command(
    root: Path | None,
    strict: bool,
    no_network: bool,
    explain: str | None,
    fix: bool,
    check: bool,
    no_packages: bool,
    bench: bool,
    everything: bool,
    as_json: bool,
    junit: Path | None,
    sarif: Path | None,
    html: Path | None,
    **rest: Any,
) -> int:
    """Say what machines really are and what stands in the way of a model there; changes nothing but by --fix.

    Each check says pass, warn or fail, or why nobody can tell. Exit 0: nothing blocks; 3: something does.
    """
    if explain is not None:
        return _explain(explain, as_json=as_json)
    from provisioner.engine.preflight import Terms, audit_all, audit_recorded

    if check and not fix:
        raise UsageError("--check without --fix", hint="preflight changes nothing but with --fix")
    if fix and root is not None:
        raise UsageError("--fix together with --root", hint="a recorded machine cannot be mended")
    if bench and root is not None:
        raise UsageError("--bench together with --root", hint="a recorded machine cannot be measured")
    where = options.where_from(rest)
    purpose, ignore = options.judged_from(rest)
    terms = Terms(
        purpose,
        ignore,
        strict,
        network=not no_network and root is None,
        bench=bench,
        packages=not no_packages,
    )
    files = {"--junit": junit, "--sarif": sarif, "--html": html}
    options.to_write(files)
    if root is not None:
        if where.hosts or where.inventories:
            raise UsageError("--root together with --host or -i", hint="leave one of them out")
        hosts = [audit_recorded(recorded_machine(root), terms)]
    else:
        ways = options.transports(where)
        hosts = audit_all(ways, terms)
        if fix:
            from provisioner.cli.mending import mend

            hosts = mend(hosts, ways, terms, where.access, check=check, as_json=as_json)
    from provisioner.report.preflight import exit_code, preflight_json

    if as_json:
        output.document(preflight_json(hosts))
    else:
        output.lines(_told(hosts, everything=everything))
    if fix and not any(host.mended for host in hosts):
        click.echo("there is nothing that --fix could mend", err=as_json)
    for option, path in files.items():
        if path is not None:
            _write(option, path, hosts)
            click.echo(f"{option.removeprefix('--')}: {path}", err=as_json)
    return exit_code(hosts)


def _explain(identity: str, *, as_json: bool) -> int:
    from provisioner.preflight.explain import explain, explain_json

    if as_json:
        output.document(explain_json(identity))
    else:
        click.echo(explain(identity, width=output.width()))
    return ExitCode.DONE


def _write(option: str, path: Path, hosts: Sequence[PreflightHost]) -> None:
    try:
        _written(option, path, hosts)
    except OSError as error:
        # An error of writing, unlike one of opening, does not name the file.
        raise ProvisionError(
            f"{option} {path}: {error.strerror or error}",
            hint="name a file that can be written, with room for it",
        ) from error


def _written(option: str, path: Path, hosts: Sequence[PreflightHost]) -> None:
    if option == "--junit":
        from provisioner.report.junit import junit

        path.write_text(junit(hosts), encoding="utf-8", errors="backslashreplace")
    elif option == "--sarif":
        import json

        from provisioner.report.sarif import sarif

        path.write_text(json.dumps(sarif(hosts), indent=1) + "\n", encoding="utf-8")
    else:
        from provisioner.report.page import write_preflight_page

        write_preflight_page(hosts, path)


def recorded_machine(root: Path) -> str:
    """The folder of a recorded machine, as a whole path. Raises UsageError for one that is none."""
    holds = "it must hold the proc and sys of a machine"
    if not root.exists():
        raise UsageError(f"--root {root}: no such folder", hint=holds)
    if not root.is_dir():
        raise UsageError(f"--root {root}: a file", hint=f"name a folder; {holds}")
    for part in ("proc", "sys"):
        try:
            if not (root / part).is_dir():
                raise UsageError(f"--root {root}: no recorded machine: there is no {part} in it", hint=holds)
            # A folder of empty ones would be audited as a machine that has nothing.
            if not any((root / part).iterdir()):
                raise UsageError(f"--root {root}: no recorded machine: its {part} is empty", hint=holds)
        except PermissionError as error:
            raise UsageError(
                f"--root {root}: its {part} may not be read", hint="let this user read it"
            ) from error
    return str(root.absolute())


def _told(hosts: Sequence[PreflightHost], *, everything: bool) -> Iterable[Line]:
    if len(hosts) == 1:
        from provisioner.report.preflight_words import text

        return text(hosts[0], everything=everything, width=output.width())
    from provisioner.report import fleet

    return fleet.text(hosts, everything=everything, width=output.width())
