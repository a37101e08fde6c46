"""What the probe read on one machine: the schema between the controller and the code that runs on a box.

A number that could not be read is None and a word is "", each with an entry in `unknown` that says why;
nothing here is a guess. Bytes are bytes, sizes are those of the moment of the probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from provisioner.audit import Audit
from provisioner.errors import ProvisionError

SCHEMA = 1
Scope = Literal["system", "user", "custom"]
Observation = dict[str, Any]
"""Plain JSON: `state` is present, absent or unknown (with `why`); the rest belongs to the resource's kind."""


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """`container` names the kind (docker, podman, lxc, …); `boot` changes with every start of the kernel;
    `secure_boot` says whether the kernel refuses modules that nobody it trusts has signed.
    """

    id: str = ""
    version_id: str = ""
    pretty: str = ""
    like: tuple[str, ...] = ()
    kernel: str = ""
    arch: str = ""
    libc: str = ""
    libc_version: str = ""
    systemd: bool | None = None
    wsl: bool | None = None
    container: str | None = None
    secure_boot: bool | None = None
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that ran the probe."""

    version: str
    executable: str


@dataclass(frozen=True, slots=True)
class User:
    """Who the probe ran as: with sudo, that is root."""

    name: str
    uid: int
    home: str = ""
    shell: str = ""


@dataclass(frozen=True, slots=True)
class Cpu:
    """`cores` are physical ones, `threads` the logical ones online; `flags` as the kernel prints them."""

    model: str = ""
    cores: int | None = None
    threads: int | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """`limit_bytes` is the smallest cgroup limit over the probe, None when there is none."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA display device; `vendor` and `device` are PCI ids ("0x10de"), `driver` the bound module,
    `capability` the compute capability ("8.9").
    """

    address: str
    vendor: str
    device: str
    name: str | None = None
    memory_bytes: int | None = None
    capability: str | None = None
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute folders of one scope; see docs/architecture.md for what lies below them."""

    code: str
    state: str
    cache: str


SYSTEM_PLACES = Places(code="/opt/provisioner", state="/var/lib/provisioner", cache="/var/cache/provisioner")


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds, or would hold, a place; free is what an ordinary user may still write.
    `windows`: it is a folder of Windows, which WSL reaches file by file.
    """

    total_bytes: int
    free_bytes: int
    fs: str = ""
    windows: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A receipt as its role wrote it. Each resource carries its `value` and its `prior` observation."""

    schema: int
    role: str
    role_digest: str
    inputs: dict[str, Any]
    resources: tuple[dict[str, Any], ...]
    result: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    written_at: str = ""
    tool: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt found on the box and, in `observed`, its resources as they are now, by resource id.

    Either `body` is there, or `error` says why it cannot be used.
    """

    scope: Scope
    role: str
    path: str
    error: str | None = None
    body: Body | None = None
    observed: dict[str, Observation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the box's run lock, since when (UTC), and by which process there; "" is not told."""

    who: str = ""
    run: str = ""
    since: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A role that ended with the wish for a restart of the machine: why, in which start of it (`boot`), and
    whether it has been restarted since.
    """

    scope: Scope
    role: str
    why: str
    boot: str
    restarted: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the probe could not read, and why: `what` is the dotted name of the fact."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known of one machine at one moment, schema 1.

    `addresses` are those by which other machines may reach this one; `places` is keyed by scope, `disks` by
    the path of each place; `pending` names the roles that a run began and never finished, `awaiting` those of
    them that asked for a restart; `audit` is there when it was asked for.
    """

    schema: int
    hostname: str
    os: OperatingSystem
    python: Python | None
    user: User
    privilege: Literal["root", "none"]
    cpu: Cpu = field(default_factory=Cpu)
    memory: Memory = field(default_factory=Memory)
    gpus: tuple[Gpu, ...] = ()
    driver_version: str | None = None
    addresses: tuple[str, ...] = ()
    places: dict[str, Places] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)
    receipts: tuple[Receipt, ...] = ()
    pending: tuple[str, ...] = ()
    awaiting: tuple[Awaiting, ...] = ()
    holder: Holder | None = None
    audit: Audit | None = None
    unknown: tuple[Unknown, ...] = ()

    @classmethod
    def decode(cls, value: Mapping[str, Any]) -> Facts:
        """Facts from the probe's JSON, also from the short answer of a box without Python.

        Raises ProvisionError naming the field that has the wrong shape, or the schema that is not ours.
        """
        schema = value.get("schema")
        if schema != SCHEMA:
            raise ProvisionError(
                f"the probe answered with facts of schema {schema!r}, this version reads schema {SCHEMA}",
                hint="use the same version of provision that the answer comes from",
            )
        import msgspec  # 20 ms that `provision --help` need not pay

        if value.get("python") is None and "privilege" not in value:
            value = _without_python(value)
        try:
            return msgspec.convert(value, cls, str_keys=True)  # JSON has no other keys
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at ")
            name = where.strip("`").removeprefix("$.") or "facts"
            raise ProvisionError(
                f"the probe's answer is wrong at {name}: {what}",
                hint="this is a defect of provision: please report it with `provision facts --json`",
            ) from error

    def to_json(self) -> dict[str, Any]:
        """The same plain JSON that the probe emitted."""
        import msgspec.json

        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    def receipt(self, role: str, scope: str) -> Receipt | None:
        """The receipt of a role in a scope, readable or not."""
        return next((r for r in self.receipts if r.role == role and r.scope == scope), None)

    def restart_wanted(self, scope: str) -> str | None:
        """Why the machine is to be restarted before the roles of a scope can go on; None: it need not be."""
        reasons = [wish.why for wish in self.awaiting if wish.scope == scope and not wish.restarted]
        return "; ".join(dict.fromkeys(reasons)) or None

    def why_unknown(self, what: str) -> str | None:
        """Why a fact could not be read; None when it could."""
        return next((entry.why for entry in self.unknown if entry.what == what), None)


def _without_python(value: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a box that was only looked at by a shell: all the rest waits for an interpreter."""
    why = "there is no Python on the box yet"
    uid = value.get("uid")
    return {
        "schema": SCHEMA,
        "hostname": value.get("hostname", ""),
        "os": value.get("os", {}),
        "python": None,
        "user": {"name": "root" if uid == 0 else "", "uid": uid},
        "privilege": "root" if uid == 0 or value.get("root") == "yes" else "none",
        "places": {"system": asdict(SYSTEM_PLACES)},
        "unknown": [{"what": what, "why": why} for what in ("cpu", "memory", "gpus", "disks", "receipts")],
    }
