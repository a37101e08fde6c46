"""A Windows computer, emulated: what WSL's programs and Windows' own change on it, and nothing else of it.

What it does was written from Microsoft's documentation; no part of it was compared with a real Windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

GIB = 1 << 30
HOME = r"C:\Users\Ada"
LOCAL = rf"{HOME}\AppData\Local"
STATE = rf"{LOCAL}\provision"
CONFIG = rf"{HOME}\.wslconfig"
ROOT = rf"{HOME}\provision-main"
SOURCE = "/mnt/c/Users/Ada/provision-main"
APPS = rf"{LOCAL}\Microsoft\WindowsApps"
NONE_RUNS = "There are no running distributions."
VERSION = """\
WSL version: {0}
Kernel version: 6.6.87.2-1
WSLg version: 1.0.66
MSRDC version: 1.2.6353
Direct3D version: 1.611.1-81528511
DXCore version: 10.0.26100.1-240331-1435.ge-release
Windows version: 10.0.26100.6584"""


class Interrupted(Exception):  # noqa: N818 - somebody closed the window
    """The script was ended right after something was done."""


class Ran(NamedTuple):
    """A program's exit code and what it said."""

    code: int = 0
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Card:
    """A graphics card as Win32_VideoController has it."""

    name: str = "NVIDIA GeForce RTX 4090"
    driver: str = "32.0.15.6094"
    hardware: str = r"PCI\VEN_10DE&DEV_2684&SUBSYS_16F310DE&REV_A1\4&2283F625&0&0019"


INTEL = Card("Intel(R) UHD Graphics 770", "31.0.101.2111", r"PCI\VEN_8086&DEV_4680&SUBSYS_7D251462&REV_0C")
BASIC = Card("Microsoft Basic Display Adapter", "10.0.26100.1")


@dataclass
class Distribution:
    """What is registered under a name, and what look.sh says of it."""

    flags: int = 15
    family: str = "ubuntu debian"
    pretty: str = "Ubuntu 24.04.3 LTS"
    systemd: str = "configured"
    release: str = "24.04"
    starts: bool = True  # systemd, where it is configured
    busy: str = ""
    user: str = ""
    sudo: str = ""
    drives: bool = True
    copied: bool = False
    state: int = 1

    def restart(self) -> None:
        self.busy = ""
        if self.systemd == "configured" and self.starts:
            self.systemd = "running"

    @property
    def home(self) -> str:
        return "/root" if self.user == "root" else f"/home/{self.user}"


DEBIAN = {
    "family": "debian ", "pretty": "Debian GNU/Linux 12 (bookworm)", "release": "12", "systemd": "absent",
}  # fmt: skip


@dataclass
class Box:
    """The computer. `fails`: exit codes of programs by their beginnings; `declined`: no administrator."""

    caption: str = "Microsoft Windows 11 Pro"
    build: str = "26100"
    product: int = 1
    memory: int = 32 * GIB
    firmware: bool = True
    hypervisor: bool = True
    launches: bool = True  # the hypervisor, once the platform is on
    architecture: str = "AMD64"
    platform: str = "on"  # off, pending until the next start, on
    pending_shows: int = 2
    linux: str = "off"  # the subsystem's own feature, which Windows 10 needs too
    cards: tuple[Card, ...] = (Card(),)
    without_driver: tuple[str, ...] = ()  # cards that are no video controllers yet
    free: int = 500 * GIB
    policy: str = ""
    package: str = "2.6.1.0"
    app: bool = False
    latest: str = "2.6.1.0"
    from_file: str = "2.6.1.0"
    wsl_says: str = VERSION
    distributions: dict[str, Distribution] = field(default_factory=dict)
    default: str = ""
    launchers: dict[str, str] = field(default_factory=dict)
    as_app: tuple[str, ...] = ("Debian",)  # come from the Store as an app that has to be started once
    running: set[str] = field(default_factory=set)
    running_says: Sequence[str] | None = None  # instead of what `running` makes it say
    root: str = ROOT
    drive: int = 3  # of the folder: 4 is on another computer
    whole: bool = True  # whether the folder is
    files: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)  # that the script made, of disks and of the registry
    run_once: str = ""
    boot: int = 13_400_000_000
    asked: Mapping[str, str | bool] = field(default_factory=dict)
    up_ends: int = 0
    declined: bool = False
    fails: Mapping[str, int] = field(default_factory=dict)
    vm: str | None = None  # the .wslconfig that the virtual machine was started with
    ends_after: int = -1
    watched: Callable[[Box], None] | None = None  # called after each change
    log: list[str] = field(default_factory=list)

    # ---- what changes something, and may be the last thing before the window is closed

    def did(self, what: str) -> None:
        self.log.append(what)
        if self.watched is not None:
            self.watched(self)
        self.ends_after -= 1
        if self.ends_after == 0:
            raise Interrupted(what)

    def write(self, path: str, text: str) -> None:
        self.files[path] = text
        self.did(f"write {path}")

    def remove(self, path: str) -> None:
        if self.files.pop(path, None) is not None:
            self.did(f"remove {path}")

    def resume(self, value: str) -> None:
        self.run_once = value
        if value:
            self.did("RunOnce")

    def elevated(self, program: str, arguments: Sequence[str]) -> int | None:
        """None: whoever sits there said no."""
        line = f"{program} {' '.join(arguments)}"
        if self.declined:
            return None
        if code := self._failure(line):
            return code
        if program == "dism.exe":
            self.platform = "pending" if self.platform == "off" else self.platform
            if "/featurename:Microsoft-Windows-Subsystem-Linux" in arguments:
                self.linux = "pending" if self.linux == "off" else self.linux
            self.did(line)
            return 3010
        self.package = self.from_file if program == "msiexec.exe" else self.latest
        self.did(line)
        return 0

    def restart(self) -> None:
        """What a new start of Windows changes."""
        self.boot += 86_400
        self.run_once = ""
        if self.platform == "pending":
            self.platform = "on"
        if self.linux == "pending":
            self.linux = "on"
        self.hypervisor = self.hypervisor or (self.platform == "on" and self.firmware and self.launches)
        self._down()
        self.running.clear()

    def launch(self, path: str, arguments: Sequence[str]) -> Ran:
        assert list(arguments) == ["install", "--root"]
        name = next(name for name, where in self.launchers.items() if where == path)
        if code := self._failure(f"{path} install"):
            return Ran(code, ["WslRegisterDistribution failed with error: 0x80070057"])
        self._register(name)
        self.did(f"launch {name}")
        return Ran(0, ["Installing, this may take a few minutes..."])

    # ---- wsl.exe

    def wsl(  # noqa: C901 - one case a command
        self, arguments: Sequence[str], text: str = ""
    ) -> Ran:
        """Raises AssertionError where Windows would only offer to install WSL, or wait for a key."""
        line = " ".join(arguments)
        assert self.package or self.app, f"wsl.exe {line}: there is no WSL yet"
        if code := self._failure(f"wsl.exe {line}"):
            return Ran(code, ["Error code: Wsl/Service/E_FAIL"])
        match list(arguments):
            case ["--version"]:
                return Ran(0, self.wsl_says.format(self.package).split("\n"))
            case ["--list", "--running", "--quiet"]:
                if self.running_says is not None:
                    return Ran(0, self.running_says)
                return Ran(0, sorted(self.running)) if self.running else Ran(-1, [NONE_RUNS])
            case ["--update", *_]:
                self.package = self.latest
                return self._done("wsl.exe --update")
            case ["--shutdown"]:
                self._down()
                self.running.clear()
                return self._done("wsl.exe --shutdown")
            case ["--terminate", name]:
                self.distributions[name].restart()
                return self._done(f"wsl.exe --terminate {name}")
            case ["--import", name, folder, _, "--version", "2"]:
                assert folder == rf"{LOCAL}\wsl\{name}"
                self._register(name)
                return self._done(f"wsl.exe --import {name}")
            case ["--install", "-d", name, "--no-launch", *_]:
                if int(self.build) < 22000 and self.linux != "on":
                    # Windows 10 asks for a restart in a sentence, and calls that done.
                    return self._done(f"wsl.exe --install -d {name}")
                if name in self.as_app:
                    self.launchers[name] = rf"{APPS}\{name.lower()}.exe"
                else:
                    self._register(name)
                return self._done(f"wsl.exe --install -d {name}")
            case ["-d", name, "-u", user, *rest]:
                return self._inside(self.distributions[name], user, rest, text)
        raise AssertionError(f"wsl.exe knows no {line}")

    def _inside(self, inside: Distribution, user: str, arguments: list[str], text: str) -> Ran:
        if not (self.platform == "on" and self.hypervisor):
            return Ran(
                -1,
                ["Error code: Wsl/Service/CreateInstance/CreateVm/HCS/0x80370102"],
            )
        if self.vm is None:
            self.vm = self.files.get(CONFIG, "")
            inside.restart()
        folder = self.root.replace("\\", "/")
        assert "\r" not in text, "a shell wants line ends of its own"
        match arguments:
            case ["--exec", "sh", "-s", "--", asked]:
                assert (user, asked) == ("root", folder)
                assert text.startswith("# What a distribution in WSL is")
                return Ran(0, self._look(inside))
            case ["--exec", "sh", "-s", "--", asked, "Ada", now]:
                assert (user, asked, int(now) > 1_700_000_000) == ("root", folder, True)
                assert text.startswith("# Makes a distribution in WSL ready")
                return self._prepare(inside)
            case ["--cd", home, "--exec", "bash", "provision/bootstrap.sh", "up", *options]:
                assert home == inside.home
                self._ready(inside, user, options)
                self.did(f"up {' '.join(options)}".rstrip())
                return Ran(self.up_ends, ["nothing to do"])
        raise AssertionError(f"nothing inside knows {arguments}")

    def _look(self, inside: Distribution) -> list[str]:
        said = {"there": "True", "family": inside.family, "name": inside.pretty, "systemd": inside.systemd}
        said |= {"release": inside.release, "busy": inside.busy}
        if inside.user:
            said |= {"user": inside.user, "home": inside.home, "sudo": inside.sudo}
        if inside.drives:
            said["source"] = SOURCE
        return [f"{name}={value}" for name, value in {**said, "address": "172.20.8.2"}.items()]

    def _prepare(self, inside: Distribution) -> Ran:
        said = []
        if inside.systemd == "absent":
            inside.systemd = "configured"
            said.append("changed: /etc/wsl.conf: systemd=true under [boot]")
        if not inside.user:
            inside.user, inside.sudo = "ada", "free"
            said.append("changed: the user ada, with sudo without a password (/etc/sudoers.d/provision-user)")
        if not inside.copied:
            inside.copied = True
            said.append(f"changed: /home/{inside.user}/provision, a copy of {SOURCE}")
        self.did("prepare")
        return Ran(0, [*said, f"user={inside.user}"])

    def _ready(self, inside: Distribution, user: str, options: list[str]) -> None:
        """Everything that `up` needs is there before it is called."""
        assert (inside.flags & 8, inside.copied, inside.user) == (8, True, user)
        assert re_family(inside.family)
        assert inside.systemd != "configured" or not inside.starts, "systemd was not given its start"
        assert self.vm == self.files.get(CONFIG, ""), "WSL runs with other settings than .wslconfig has"
        assert ("-K" in options) == (inside.sudo == "password")

    def _register(self, name: str) -> None:
        made: dict[str, str] = DEBIAN if name.startswith("Debian") else {}
        self.distributions[name] = Distribution(**made)  # type: ignore[arg-type]
        self.default = self.default or name

    @property
    def devices(self) -> list[tuple[str, str]]:
        """What is on the bus, with the class of each; a card of NVIDIA's brings a sound device."""
        cards = [one.hardware for one in self.cards]
        shown = [(one, "CC_030000") for one in (*cards, *self.without_driver)]
        return [(rf"{one}\SOUND", "CC_040300") for one in cards if "VEN_10DE" in one] + shown

    def _down(self) -> None:
        self.vm = None
        for one in self.distributions.values():
            one.restart()

    def _done(self, line: str) -> Ran:
        self.did(line)
        return Ran(0, ["The operation completed successfully."])

    def _failure(self, line: str) -> int:
        return next((code for begins, code in self.fails.items() if line.startswith(begins)), 0)


def re_family(family: str) -> bool:
    """Whether it is one that the tool knows."""
    return bool({"ubuntu", "debian"} & set(family.split()))
