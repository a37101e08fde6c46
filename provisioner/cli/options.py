"""Options declared once and worn by every verb that takes them."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from provisioner.errors import UsageError
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access, Transport
from provisioner.nearest import nearest_hint

if TYPE_CHECKING:  # a verb that plans nothing does not load the planner
    from provisioner.compat import Settings
    from provisioner.preflight.purpose import Purpose

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

Command = TypeVar("Command", bound=Callable[..., Any])

_WHERE = (
    click.option(
        "--host", "hosts", multiple=True, metavar="HOST", help="Alias or user@address:port; may be repeated."
    ),
    click.option(
        "-i", "--inventory", "inventories", multiple=True, metavar="PATH", help="An Ansible inventory."
    ),
    click.option("--limit", metavar="PATTERN", help="Only these hosts of the inventory."),
    click.option("--ssh-config", type=click.Path(path_type=Path), help="An OpenSSH configuration to use."),
    click.option("--accept-new-host-keys", is_flag=True, help="Trust a host's key when it is seen first."),
    click.option("-K", "--ask-become-pass", is_flag=True, help="Ask for the sudo password."),
    click.option(
        "--become-password-file", type=click.Path(path_type=Path), help="A file that holds the sudo password."
    ),
)
profile = click.option("--profile", metavar="NAME", help="What to provision; see `provision profiles`.")
assignments = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override one value."
)
require_gpu = click.option("--require-gpu", is_flag=True, help="Fail when there is no usable NVIDIA GPU.")
_WHAT = (
    profile,
    click.option(
        "--model",
        metavar="SOURCE",
        help="Other weights: hf:org/name[@revision][:file or quantisation], modelscope:org/name,"
        " https://host/file#sha256=HEX, path:/folder.",
    ),
    assignments,
    click.option("--scope", type=click.Choice(["auto", "system", "user"]), default="auto", show_default=True),
    require_gpu,
    click.option(
        "--ca-certificate",
        "certificates",
        multiple=True,
        type=click.Path(path_type=Path),
        help="PEM file of a company's certificate authority; may be repeated.",
    ),
)
_SYSTEM = (
    click.option("--cuda", metavar="VERSION", help="A toolkit, such as 12.8, none, or auto."),
    click.option("--branch", metavar="NUMBER", help="A driver's branch, such as 580, keep, or auto."),
    click.option("--route", metavar="WAY", help="How driver and toolkit are installed, such as runfile."),
)
upgrade = click.option(
    "--upgrade", is_flag=True, help="Take what is newer, where what is there would still do."
)
_JUDGED = (
    click.option("--purpose", metavar="WHAT", help="What the machines are for; default: inferred of each."),
    click.option(
        "--ignore", "ignore", multiple=True, metavar="ID", help="A check that may not block; may be repeated."
    ),
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@dataclass(frozen=True)
class Where:
    """Which machines, and how to reach them."""

    hosts: tuple[str, ...]
    inventories: tuple[str, ...]
    limit: str | None
    access: Access
    asked_password: bool = False


def where(command: Command) -> Command:
    """The options that choose machines; `where_from` reads them."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


def what(command: Command) -> Command:
    """The options that choose what the machines should be; `settings_from` reads them."""
    for option in reversed(_WHAT):
        command = option(command)
    return command


def system(command: Command) -> Command:
    """The options that choose driver and toolkit; `system_from` reads them."""
    for option in reversed(_SYSTEM):
        command = option(command)
    return command


def system_from(options: dict[str, Any], variables: dict[str, Any]) -> None:
    """Take this group's options out of `options`, into the variables of roles that they are short for.

    Raises UsageError for what nobody knows, and for what is said twice.
    """
    from provisioner.compat import wanted

    short = {name: options.pop(name) for name in ("cuda", "branch", "route")}
    for variable, text in wanted.said(short["cuda"], short["branch"], short["route"]).items():
        if variables.setdefault(variable, text) != text:
            option = next(name for name, said in short.items() if said == text)
            raise UsageError(
                f"--{option} {text} and --set {variable}={variables[variable]}", hint="say one of them"
            )
    wanted.wanted(variables)


def judged(command: Command) -> Command:
    """The options that say how findings weigh; `judged_from` reads them."""
    for option in reversed(_JUDGED):
        command = option(command)
    return command


def judged_from(options: dict[str, Any]) -> tuple[Purpose | None, tuple[str, ...]]:
    """Take this group's options out of `options`: the purpose or None, and the checks that may not block."""
    purpose: Any = options.pop("purpose")
    if purpose is not None:
        from provisioner.preflight.purpose import PURPOSES

        if purpose not in PURPOSES:
            raise UsageError(f"--purpose {purpose}: no such purpose", hint=nearest_hint(purpose, PURPOSES))
    ignore: tuple[str, ...] = options.pop("ignore")
    if ignore:
        from provisioner.preflight.explain import find

        for identity in ignore:
            find(identity)
    return purpose, ignore


def where_from(options: dict[str, Any]) -> Where:
    """Take this group's options out of `options`."""
    hosts, inventories, limit = (options.pop(name) for name in ("hosts", "inventories", "limit"))
    if hosts and inventories:
        raise UsageError(
            "--host and -i together", hint="say one of them; --limit picks hosts of an inventory"
        )
    if limit and not inventories:
        raise UsageError("--limit without -i", hint="--limit picks hosts of an inventory; name it with -i")
    password_file: Path | None = options.pop("become_password_file")
    ask = options.pop("ask_become_pass")
    return Where(
        hosts=hosts,
        inventories=inventories,
        limit=limit,
        access=Access(
            ssh_config=_existing(options.pop("ssh_config"), "--ssh-config"),
            accept_new_host_keys=options.pop("accept_new_host_keys"),
            become_password=_password(ask=ask, file=password_file),
        ),
        asked_password=ask and password_file is None,
    )


def settings_from(options: dict[str, Any], where: Where) -> Settings:
    """Take this group's options out of `options`. Here SSL_CERT_FILE is as good as --ca-certificate."""
    from provisioner import profiles
    from provisioner.compat import Settings

    overrides, variables = assigned(options.pop("assignments"))
    certificates = [_certificate(path) for path in options.pop("certificates")]
    if not (certificates or where.hosts or where.inventories):
        certificates = own_authorities(os.environ.get("SSL_CERT_FILE"))
    if certificates:
        variables["host_base_ca_certificates"] = certificates
    if "branch" in options:
        system_from(options, variables)
    profile, model = options.pop("profile"), options.pop("model")
    # What cannot be meant is said before any machine is asked.
    wanted = profiles.load(profile or profiles.DEFAULT_WITHOUT_GPU, overrides)
    if model is not None:
        profiles.with_model(wanted, model)
    return Settings(
        profile=profile,
        model=model,
        profile_overrides=overrides,
        variables=variables,
        scope=options.pop("scope"),
        require_gpu=options.pop("require_gpu"),
        upgrade=options.pop("upgrade", False),
    )


def assigned(said: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What --set says: (of the profile, by dotted key; of the roles, by variable). Raises UsageError."""
    from provisioner import profiles
    from provisioner.compat import roles

    overrides: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    known = profiles.override_keys()
    for assignment in said:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise UsageError(f"--set {assignment}: no value", hint="say --set key=value")
        if key in known or "." in key:
            overrides[key] = profiles.override(key, value)
        else:
            variables[key] = roles.parse(key, value)
    return overrides, variables


def to_write(files: Mapping[str, Path | None]) -> None:
    """Raise UsageError for a file that could not be written, before any machine is asked; nor one that two
    options name, of which only the later would be left.
    """
    taken: dict[Path, str] = {}
    for option, path in files.items():
        _writable(option, path)
        # Several may go to a device, /dev/null say.
        if path is None or (path.exists() and not path.is_file()):
            continue
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            raise UsageError(f"{other} and {option} name the same file: {path}", hint="name one for each")


def _writable(option: str, path: Path | None) -> None:
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"{option} {path}: no such folder", hint=f"make {path.absolute().parent} first")
    if path is not None and path.is_dir():
        raise UsageError(f"{option} {path}: a folder", hint="name the file to write")


def _existing(path: Path | None, option: str) -> str | None:
    if path is not None and not path.is_file():
        raise UsageError(f"{option} {path}: no such file", hint="name a file that is on this machine")
    # Absolute: some of what reads it is started in another folder.
    return None if path is None else str(path.absolute())


def _certificate(path: Path) -> str:
    _existing(path, "--ca-certificate")
    text = path.read_text(encoding="utf-8", errors="replace")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UsageError(f"--ca-certificate {path}: no certificate in it", hint="it must be a PEM file")
    return text


def own_authorities(bundle: str | None, system: Path = SYSTEM_BUNDLE) -> list[str]:
    """The certificates in `bundle` that this system does not trust yet: a company's own authority."""
    if not bundle or not Path(bundle).is_file():
        return []
    known = set(_bodies(system.read_text(encoding="utf-8", errors="replace")) if system.is_file() else {})
    text = Path(bundle).read_text(encoding="utf-8", errors="replace")
    return [pem + "\n" for body, pem in _bodies(text).items() if body not in known]


def _bodies(text: str) -> dict[str, str]:
    """Each certificate by what it holds, whatever its line breaks are."""
    return {"".join(pem.split()): pem for pem in _PEM.findall(text)}


def _password(*, ask: bool, file: Path | None) -> str | None:
    if file is not None:
        _existing(file, "--become-password-file")
        return file.read_text(encoding="utf-8").rstrip("\n")
    if not ask:
        return None
    if not sys.stdin.isatty():
        raise UsageError("-K needs a terminal to ask on", hint="use --become-password-file")
    answer: str = click.prompt("sudo password", hide_input=True, err=True)
    return answer


def transports(where: Where) -> list[Transport]:
    """The way to each machine that was asked for; this machine when none was."""
    from provisioner.hosts.connect import connect
    from provisioner.hosts.target import parse_host, this_machine

    if where.inventories:
        from provisioner.hosts.inventory import read_inventory

        targets = list(read_inventory(where.inventories, where.limit))
    else:
        targets = [parse_host(host) for host in where.hosts] or [this_machine(socket.gethostname())]
    return [connect(target, where.access) for target in _each_once(targets)]


def _each_once(targets: Iterable[Target]) -> Iterator[Target]:
    """The targets without repetitions. Two that would go by one name in every report are refused."""
    seen: dict[str, Target] = {}
    for target in targets:
        known = seen.setdefault(target.name, target)
        if known is target:
            yield target
        elif known != target:
            raise UsageError(
                f"two hosts would both be called {target.name}: {_login(known)} and {_login(target)}",
                hint="give each a Host block with a name of its own in ~/.ssh/config, or run twice",
            )


def _login(target: Target) -> str:
    return f"{target.user}@{target.address}" if target.user else str(target.address)
