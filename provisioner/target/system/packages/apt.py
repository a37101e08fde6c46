"""Debian's package manager, as a `Manager`: apt-get for what changes, dpkg's own files for what there is."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
import time
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

from ...errors import TargetError
from ...probe import dpkg
from ...probe.audit import aptsources
from ...probe.audit.packages import holder, journal
from ...probe.box import MISSING
from ...runtime import process
from ...runtime.files import size_text
from . import apt_errors, apt_output, archives, boot_room, dpkg_state
from .base import Change, Package, Told, UnknownPackage, Wanted, doing, nobody
from .programs import Programs

# All that apt or dpkg may be busy with: /var/lib/apt/lists while lists come, the last while archives do.
LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
ARCHIVES = "/var/cache/apt/archives"
# As unattended-upgrades has it: lists are read anew once a day.
OLD_S = 24 * 3600
POLL_S = 1.0
# No question may ever wait for an answer: changed configuration files stay as the administrator has them.
_QUIET = {
    "LC_ALL": "C",
    "LANGUAGE": "",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "UCF_FORCE_CONFFOLD": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    # It would restart services, ours among them, in the middle of a change.
    "NEEDRESTART_SUSPEND": "1",
}
_NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "APT_CONFIG")
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


class Apt(Programs):
    """apt and dpkg. `lock_timeout` is in seconds. Of `network` only `no_proxy` counts: the rest is in apt's
    own settings, where host_base writes it, and those know no domains.
    """

    name = "apt"

    # --- what there is --------------------------------------------------------------------------------------

    def installed(self) -> Dict[str, Package]:
        try:
            status = self._box.read(dpkg.STATUS, dpkg.LIMIT)
            pieces = [self._box.read(path) for path in journal(self._box)]
        except FileNotFoundError as error:
            raise TargetError("packages are being changed at this moment", "run again") from error
        return dpkg_state.parse(status, pieces, self._maybe(dpkg_state.EXTENDED))

    def copy_of_state(self, folder: str) -> None:
        pieces = {"updates-%s" % os.path.basename(path): self._box.read(path) for path in journal(self._box)}
        pieces["status"] = self._box.read(dpkg.STATUS, dpkg.LIMIT)
        pieces["extended_states"] = self._maybe(dpkg_state.EXTENDED)
        for name, data in pieces.items():
            with open(os.path.join(folder, name), "wb") as copy:
                copy.write(data)

    def read_state(self, folder: str) -> Dict[str, Package]:
        return dpkg_state.parse(*self._copied(folder))

    def remains(self, folder: Optional[str] = None) -> Set[str]:
        if folder is None:
            return dpkg_state.remains(
                self._box.read(dpkg.STATUS, dpkg.LIMIT), [self._box.read(path) for path in journal(self._box)]
            )
        return dpkg_state.remains(*self._copied(folder)[:2])

    def _copied(self, folder: str) -> Tuple[bytes, List[bytes], bytes]:
        """Status, dpkg's journal and apt's marks as `copy_of_state` left them."""

        def part(name: str) -> bytes:
            with open(os.path.join(folder, name), "rb") as copy:
                return copy.read()

        there = sorted(os.listdir(folder))
        marks = part("extended_states") if "extended_states" in there else b""
        return part("status"), [part(name) for name in there if name.startswith("updates-")], marks

    # --- the lists ------------------------------------------------------------------------------------------

    def stale(self) -> Optional[str]:
        read = self._newest(aptsources.LISTS, aptsources.LISTS + "/partial")
        if not any(name.endswith(("Release", "Packages")) or "_Packages" in name for name in self._lists()):
            return "apt has no lists yet"
        sources = [aptsources.ONE_FILE, aptsources.FOLDER, "/etc/apt/auth.conf.d"]
        sources += [aptsources.FOLDER + "/" + name for name in self._names(aptsources.FOLDER)]
        if self._newest(*sources) > read:
            return "apt's sources have changed since its lists were read"
        if time.time() - read > OLD_S:
            return "apt's lists are older than a day"
        return None

    def refresh(self) -> List[str]:
        self.wait()
        # One that does not come is told, not fatal, so that a third party's broken source stops nobody.
        rc, lines = self._apt(["update"])
        troubles = apt_errors.of_lists(lines)
        if rc and not troubles:
            raise apt_errors.refusal(lines, "read its lists", {})
        # What was current already has kept its time.
        for folder in (aptsources.LISTS + "/partial", aptsources.LISTS):
            if os.path.isdir(self._box.path(folder)):
                os.utime(self._box.path(folder))
                break
        return troubles

    # --- what would be, and making it so --------------------------------------------------------------------

    def simulate(self, wanted: Wanted) -> Change:
        change, _ = self._would(wanted)
        if change.empty:
            return change
        rc, lines = self._asked(wanted, self.installed(), "--print-uris")
        if rc:
            raise apt_errors.refusal(lines, doing(wanted), self.installed())
        download, disk = apt_output.sizes(lines)
        return change._replace(download=download, disk=disk)

    def room(self, change: Change) -> List[Tuple[str, int]]:
        needs = [(self._box.path(ARCHIVES), change.download), (self._box.path("/usr"), max(0, change.disk))]
        return needs + boot_room.needs(self._box, change)

    def fetch(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        self.wait(told)
        installed = self.installed()
        rc, lines = self._asked(wanted, installed, "--download-only", _watch(told, agreed.download))
        if rc:
            raise apt_errors.refusal(lines, "fetch what is needed to %s" % doing(wanted), installed)

    def apply(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        self.wait(told)
        change, installed = self._would(wanted)
        if not change.same(agreed):
            raise TargetError(
                "somebody else has changed packages, or apt's sources, meanwhile",
                "run again: what is there now is looked at anew",
            )
        if wanted.release:
            self.hold(wanted.release, False)
        flags = _flags(wanted, installed)
        # Where nothing is to go, nothing will, whatever happens until apt has its lock.
        flags += [] if agreed.removes else ["--no-remove"]
        rc, lines = self._apt([*flags, "install", *_targets(wanted)], _watch(told, 0))
        if not rc and wanted.leave:
            # apt purges all that it removes, or nothing: now what those left that are to go wholly.
            rest = sorted({*wanted.remove} & self.remains() - {*wanted.leave})
            rc, lines = self._apt(["--purge", "install", *(name + "-" for name in rest)]) if rest else (0, [])
        if rc:
            raise apt_errors.failure(lines, doing(wanted))

    def save(self, names: Sequence[str], folder: str) -> Dict[str, str]:
        installed = self.installed()
        return {name: archives.save(self._tool, self._box, name, installed[name], folder) for name in names}

    def hold(self, names: Sequence[str], held: bool) -> None:
        # unattended-upgrade passes over what is held (2.9.1: is_pkg_change_allowed), and so does apt upgrade:
        # user space and modules stay of one version, with no second list to keep in step.
        self._mark("hold" if held else "unhold", names)

    def mark(self, names: Sequence[str], auto: bool) -> None:
        self._mark("auto" if auto else "manual", names)

    def repair(self) -> bool:
        broken = [name for name, package in self.installed().items() if not package.whole]
        if not broken and not journal(self._box):
            return False
        self.wait()
        print("== finishing what was left half-way: %s" % (", ".join(sorted(broken)) or "dpkg's journal"))
        # What still lacks something stays as it is here; --fix-broken gives it that with what is wanted.
        self._tool(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"])
        return True

    def wait(self, told: Told = nobody) -> None:
        until = self._clock() + self._timeout
        while True:
            pid = holder(self._box, LOCKS)
            if pid is None:
                return
            who = "process %d (%s)" % (pid, self._name_of(pid)) if pid else "a process outside this container"
            if self._clock() >= until:
                raise TargetError(
                    "after %d s apt is still locked by %s" % (self._timeout, who),
                    "let it finish or stop it, or raise the role's apt_lock_timeout",
                )
            told("waiting for %s, which holds apt's lock" % who, None, None)
            self._sleep(POLL_S)

    # --------------------------------------------------------------------------------------------------------

    def _apt(
        self,
        args: Sequence[str],
        watch: Optional[Callable[[str], bool]] = None,
        shown: bool = True,
    ) -> Tuple[int, List[str]]:
        """Exit status and all lines; those that `watch` answers True for are neither shown nor among them."""
        said: List[str] = []

        def hear(line: str) -> bool:
            if watch is not None and watch(line):
                return True
            said.append(line)
            return not shown

        argv = [
            "apt-get", "-q", "-y",
            "-o", "DPkg::Lock::Timeout=%d" % self._timeout,
            "-o", "Dpkg::Options::=--force-confdef",
            "-o", "Dpkg::Options::=--force-confold",
            # Without one all that maintainer scripts say comes here, line by line.
            "-o", "Dpkg::Use-Pty=0",
            "-o", "Acquire::Retries=2",
            *args,
        ]  # fmt: skip
        if watch is not None:
            # A copy of its output: apt closes the descriptor for all that it starts, and maintainer scripts
            # whose output is closed fail.
            free = next(number for number in range(3, 10) if number not in process.inherited)
            argv = ["sh", "-c", 'exec "$@" %d>&1' % free, "sh", *argv, "-o", "APT::Status-Fd=%d" % free]
        return self._run(argv, env=self._env(), on_line=hear).rc, said

    def _tool(self, argv: Sequence[str], cwd: Optional[str] = None, shown: bool = True) -> process.Done:
        """All lines of a program, not only the last ones; `shown` in the log or not."""
        said: List[str] = []

        def hear(line: str) -> bool:
            said.append(line)
            return not shown

        done = self._run(argv, env=self._env(), cwd=cwd, on_line=hear)
        return process.Done(done.rc, said)

    def _env(self) -> Dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        env.update(_QUIET)
        path = env.get("PATH", "").split(":")
        env["PATH"] = ":".join([*filter(None, path), *(one for one in _SBIN if one not in path)])
        direct = self._network.get("no_proxy")
        if direct:
            env["no_proxy"] = str(direct) if isinstance(direct, str) else ",".join(map(str, direct))
        return env

    def _would(self, wanted: Wanted) -> Tuple[Change, Dict[str, Package]]:
        """What would happen, without its sizes, and what is installed now."""
        installed = self.installed()
        rc, lines = self._asked(wanted, installed, "--simulate")
        if rc:
            raise self._guessed(apt_errors.refusal(lines, doing(wanted), installed))
        return apt_output.change(lines, installed), installed

    def _asked(
        self,
        wanted: Wanted,
        installed: Dict[str, Package],
        how: str,
        watch: Optional[Callable[[str], bool]] = None,
    ) -> Tuple[int, List[str]]:
        """An install that changes no package. apt is shown a status without the caller's own holds."""
        argv = [how, *_flags(wanted, installed), "install", *_targets(wanted)]
        mine = [name for name in wanted.release if name in installed and installed[name].held]
        if not mine:
            return self._apt(argv, watch, shown=watch is not None)
        work = tempfile.mkdtemp(prefix="provision-apt-")
        try:
            status = os.path.join(work, "status")
            with open(status, "wb") as copy:
                copy.write(dpkg_state.released(self._box.read(dpkg.STATUS, dpkg.LIMIT), mine))
            # apt's kept table of what is installed must not be made from it.
            own = [
                "-o",
                "Dir::State::status=" + status,
                "-o",
                "Dir::Cache::pkgcache=" + work + "/pkgcache.bin",
            ]
            return self._apt([*own, *argv], watch, shown=watch is not None)
        finally:
            shutil.rmtree(work)

    def _guessed(self, error: TargetError) -> TargetError:
        """The same error, with the name that may have been meant."""
        if isinstance(error, UnknownPackage) and error.package:
            known = self._tool(["apt-cache", "pkgnames", error.package[:3]], shown=False).lines
            near = difflib.get_close_matches(error.package, known, 1, 0.8)
            if near:
                error.hint = "did you mean %s? Otherwise %s" % (near[0], error.hint)
        return error

    def _mark(self, how: str, names: Sequence[str]) -> None:
        if not names:
            return
        self.wait()
        done = self._tool(["apt-mark", how, *names])
        if done.rc:
            raise TargetError(
                "apt-mark could not %s %s: %s"
                % (how, ", ".join(names), done.lines[-1] if done.lines else "it said nothing"),
                "run it by hand to see more",
            )

    def _maybe(self, path: str) -> bytes:
        try:
            return self._box.read(path, dpkg.LIMIT)
        except OSError as error:
            if error.errno in MISSING:
                return b""
            raise

    def _lists(self) -> List[str]:
        return self._names(aptsources.LISTS)

    def _newest(self, *paths: str) -> float:
        """When one of these was changed last, in seconds; a copied file keeps its time, but not its ctime."""
        found = [0.0]
        for path in paths:
            if self._box.there(path):
                seen = os.stat(self._box.path(path))
                # Lists are told by the time that `refresh` gives them.
                found.append(seen.st_mtime if path.startswith(aptsources.LISTS) else seen.st_ctime)
        return max(found)

    def _name_of(self, pid: int) -> str:
        try:
            return self._box.text("/proc/%d/comm" % pid).strip()
        except OSError:
            return "already gone"


def _targets(wanted: Wanted) -> List[str]:
    return [*wanted.install, *(name + "-" for name in wanted.remove)]


def _flags(wanted: Wanted, installed: Dict[str, Package]) -> List[str]:
    flags = ["--install-recommends" if wanted.recommends else "--no-install-recommends"]
    flags += ["--allow-downgrades"] if wanted.downgrade else []
    flags += ["--purge"] if wanted.remove and not wanted.leave else []
    flags += ["--fix-broken"] if any(not package.whole for package in installed.values()) else []
    return flags


def _watch(told: Told, total: int) -> Callable[[str], bool]:
    """Hears apt's lines: those of its status descriptor become progress."""

    def hear(line: str) -> bool:
        built = apt_output.module_built(line)
        if built:
            told(built, None, None)
        seen = apt_output.step(line)
        if seen is None:
            return False
        if seen.fetching:
            told("fetching %s of packages" % size_text(total), int(total * seen.percent / 100), total)
        elif seen.text:
            # Every tenth of the way: each is a line in a log.
            told("setting up packages (%d %%)" % (seen.percent // 10 * 10), None, None)
        return True

    return hear
