"""The package manager of Red Hat's family, as a `Manager`: dnf 4 for what changes, rpm for what there is."""

from __future__ import annotations

import os
import platform
import time
from typing import Dict, List, Optional, Sequence, Set, Tuple

from ...errors import TargetError
from ...probe import rpmdb
from ...probe.box import MISSING
from . import dnf_output
from .base import Change, Package, Told, Wanted, doing, nobody
from .programs import Programs

CACHE = "/var/cache/dnf"
SOURCES = "/etc/yum.repos.d"
MODULES = "/etc/dnf/modules.d"
LOCKS = ("/run/dnf.pid", "/var/run/dnf.pid", "/var/cache/dnf/metadata_lock.pid")
# What `dnf versionlock` keeps; without that plugin nothing heeds it.
LIST = rpmdb.LOCKED
PLUGIN = "python3-dnf-plugin-versionlock"
OLD_S = 24 * 3600
POLL_S = 1.0
_COPY = "rpm.tsv"
_NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class Dnf(Programs):
    """dnf and rpm. `lock_timeout` is in seconds; proxies come with `network`."""

    name = "dnf"

    # --- what there is --------------------------------------------------------------------------------------

    def installed(self) -> Dict[str, Package]:
        return self._packages(self._query(), self._dependencies(), self._locked())

    def copy_of_state(self, folder: str) -> None:
        lines = ["\t".join(("package", *row)) for row in self._query()]
        lines += ["dependency\t" + name for name in sorted(self._dependencies())]
        lines += ["locked\t" + name for name in sorted(self._locked())]
        with open(os.path.join(folder, _COPY), "w", encoding="utf-8") as copy:
            copy.write("".join(line + "\n" for line in lines))

    def read_state(self, folder: str) -> Dict[str, Package]:
        found: List[dnf_output.Row] = []
        names: Dict[str, Set[str]] = {"dependency": set(), "locked": set()}
        with open(os.path.join(folder, _COPY), encoding="utf-8") as copy:
            for line in copy:
                kind, *parts = line.rstrip("\n").split("\t")
                if kind == "package":
                    found.append(dnf_output.Row(*parts))
                else:
                    names[kind].add(parts[0])
        return self._packages(found, names["dependency"], names["locked"])

    def stream_missing(self, stream: str) -> Optional[str]:
        name, _, wanted = stream.partition("/")[0].partition(":")
        lines = self._text("%s/%s.module" % (MODULES, name)).splitlines()
        values = dict(line.partition("=")[::2] for line in lines)
        on = values.get("state", "").strip() == "enabled" and values.get("stream", "").strip() == wanted
        return None if on else "the module stream %s:%s is not enabled" % (name, wanted)

    # --- the lists ------------------------------------------------------------------------------------------

    def stale(self) -> Optional[str]:
        lists = [CACHE + "/" + name for name in self._names(CACHE) if name.endswith((".solv", ".solvx"))]
        if not lists:
            return "dnf has no lists yet"
        read = min(self._time(path) for path in lists)
        if max(self._time(path) for path in (SOURCES, *self._in(SOURCES))) > read:
            return "dnf's sources have changed since its lists were read"
        return "dnf's lists are older than a day" if time.time() - read > OLD_S else None

    def refresh(self) -> List[str]:
        self.wait()
        rc, lines = self._dnf(["--refresh", "makecache"])
        troubles = dnf_output.of_lists(lines)
        if rc and not troubles:
            raise dnf_output.refusal(lines, "read its lists")
        return troubles

    # --- what would be, and making it so --------------------------------------------------------------------

    def simulate(self, wanted: Wanted) -> Change:
        installed = self.installed()
        change = Change({}, {}, {})
        for argv in self._calls(wanted, installed):
            rc, lines = self._dnf(["--assumeno", *argv], shown=False)
            # It answers no to itself, which it calls a failure.
            if rc and not any(line.startswith("Operation aborted") for line in lines):
                raise dnf_output.refusal(lines, doing(wanted))
            found = dnf_output.change(lines, installed)
            change = Change(
                {**change.installs, **found.installs},
                {**change.replaces, **found.replaces},
                {**change.removes, **found.removes},
                change.download + found.download,
                change.disk + found.disk,
            )
        return change

    def room(self, change: Change) -> List[Tuple[str, int]]:
        return [(self._box.path(CACHE), change.download), (self._box.path("/usr"), max(0, change.disk))]

    def fetch(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        self.wait(told)
        for argv in self._calls(wanted._replace(remove=()), self.installed()):
            told("fetching packages", None, agreed.download or None)
            rc, lines = self._dnf(["--downloadonly", *argv])
            if rc:
                raise dnf_output.refusal(lines, "fetch what is needed to %s" % doing(wanted))

    def apply(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        self.wait(told)
        if not self.simulate(wanted).same(agreed):
            raise TargetError(
                "somebody else has changed packages, or dnf's sources, meanwhile",
                "run again: what is there now is looked at anew",
            )
        calls = self._calls(wanted, self.installed())
        if wanted.release:
            self.hold(wanted.release, False)
        for argv in calls:
            told("setting up packages", None, None)
            rc, lines = self._dnf(argv)
            if rc:
                raise dnf_output.failure(lines, doing(wanted))

    def save(self, names: Sequence[str], folder: str) -> Dict[str, str]:
        found = {}
        for name in names:
            before = set(os.listdir(folder))
            rc, _ = self._dnf(["--downloadonly", "--downloaddir", folder, "reinstall", name])
            there = self.installed()[name]
            base = "%s-%s.%s.rpm" % (name.partition(":")[0], there.version.rpartition(":")[2], there.arch)
            if rc or base not in os.listdir(folder):
                raise TargetError(
                    "%s %s would be replaced, and no copy of it could be saved: no source has it any more"
                    % (name, there.version),
                    "save its package yourself and install the new one with dnf, then run again",
                )
            for other in set(os.listdir(folder)) - before - {base}:
                os.unlink(os.path.join(folder, other))
            found[name] = base
        return found

    def hold(self, names: Sequence[str], held: bool) -> None:
        if not names:
            return
        installed = self.installed()
        if held and PLUGIN not in installed:
            raise TargetError(
                "dnf cannot hold packages without %s" % PLUGIN, "dnf install %s, and run again" % PLUGIN
            )
        kept = [
            line
            for line in self._text(LIST).splitlines()
            if not set(rpmdb.held(line)) & {name.partition(":")[0] for name in names}
        ]
        if held:
            kept += [dnf_output.lock_entry(name, installed[name]) for name in sorted(names)]
        path = self._box.path(LIST)
        if kept or os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + ".new", "w", encoding="utf-8") as text:
                text.write("".join(line + "\n" for line in kept))
                text.flush()
                os.fsync(text.fileno())
            os.replace(path + ".new", path)

    def mark(self, names: Sequence[str], auto: bool) -> None:
        if not names:
            return
        rc, lines = self._dnf(["mark", "remove" if auto else "install", *names])
        if rc:
            raise dnf_output.refusal(lines, "mark %s" % ", ".join(names))

    def repair(self) -> bool:
        """An update that broke off leaves two versions of a package; the newer one stays."""
        broken = [name for name, package in self.installed().items() if not package.whole]
        if not broken:
            return False
        print("== finishing what was left half-way: %s" % ", ".join(sorted(broken)))
        rc, lines = self._dnf(["remove", "--duplicates"])
        if rc:
            raise dnf_output.failure(lines, "take off the older ones of %s" % ", ".join(sorted(broken)))
        return True

    def wait(self, told: Told = nobody) -> None:
        until = self._clock() + self._timeout
        while True:
            pid = self._holder()
            if pid is None:
                return
            if self._clock() >= until:
                raise TargetError(
                    "after %d s dnf is still locked by process %d" % (self._timeout, pid),
                    "let it finish or stop it, or raise the role's lock timeout",
                )
            told("waiting for process %d, which holds dnf's lock" % pid, None, None)
            self._sleep(POLL_S)

    # --------------------------------------------------------------------------------------------------------

    def _calls(self, wanted: Wanted, installed: Dict[str, Package]) -> List[List[str]]:
        """dnf's arguments: one call installs (module streams too), one removes."""
        # Holds of the caller's own are no obstacle; those of others stay as they are.
        flags = []
        if wanted.release:
            others = self._locked() - {name.partition(":")[0] for name in wanted.release}
            flags = ["--disableplugin=versionlock", *("--exclude=" + name for name in sorted(others))]
        flags.append("--setopt=install_weak_deps=%s" % wanted.recommends)
        calls = []
        targets = [name.replace("=", "-", 1) if name[0] != "/" else name for name in wanted.install]
        targets += ["@" + (one if "/" in one else one + "/default") for one in wanted.streams]
        if targets:
            calls.append([*flags, "install", *targets])
        gone = [name for name in wanted.remove if name in installed]
        if gone:
            # Only what is named: what came as a dependency is on the list by its own name.
            calls.append([*flags, "--setopt=clean_requirements_on_remove=False", "remove", *gone])
        return calls

    def _dnf(self, args: Sequence[str], shown: bool = True) -> Tuple[int, List[str]]:
        return self._tool(["dnf", "-y", *args], shown)

    def _tool(self, argv: Sequence[str], shown: bool = True) -> Tuple[int, List[str]]:
        """Exit status and all lines, shown in the log or not."""
        said: List[str] = []

        def hear(line: str) -> bool:
            said.append(line)
            return not shown

        env = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        env.update({"LC_ALL": "C", "LANGUAGE": ""})
        for name in ("http_proxy", "https_proxy"):
            if self._network.get(name):
                env[name] = str(self._network[name])
        return self._run(list(argv), env=env, on_line=hear).rc, said

    def _query(self) -> List[dnf_output.Row]:
        rc, lines = self._tool(["rpm", "--query", "--all", "--queryformat", dnf_output.QUERY], shown=False)
        if rc:
            raise TargetError("rpm cannot say what is installed", "rpm --rebuilddb may mend its database")
        return dnf_output.rows(lines)

    def _dependencies(self) -> Set[str]:
        """Names that came as a dependency, by dnf's history; --cacheonly, so that no mirror is asked."""
        argv = ["--cacheonly", "--quiet", "repoquery", "--installed", "--queryformat", "%{name}\t%{reason}"]
        rc, lines = self._dnf(argv, shown=False)
        pairs = [line.split("\t") for line in lines if "\t" in line]
        if rc:
            raise dnf_output.refusal(lines, "say what came as a dependency")
        return {pair[0] for pair in pairs if pair[1].strip() in ("dependency", "weak-dependency")}

    def _packages(self, found: List[dnf_output.Row], auto: Set[str], locked: Set[str]) -> Dict[str, Package]:
        return dnf_output.packages(found, auto, locked, platform.machine())

    def _locked(self) -> Set[str]:
        return set(rpmdb.held(self._text(LIST)))

    def _holder(self) -> Optional[int]:
        for path in LOCKS:
            text = self._text(path).strip()
            if text.isdigit() and int(text) != os.getpid() and os.path.exists("/proc/" + text):
                return int(text)
        return None

    def _text(self, path: str) -> str:
        try:
            return self._box.text(path)
        except OSError as error:
            if error.errno in MISSING:
                return ""
            raise

    def _in(self, folder: str) -> List[str]:
        return [folder + "/" + name for name in self._names(folder)]

    def _time(self, path: str) -> float:
        """Seconds; 0 for what is not there."""
        real = self._box.path(path)
        return os.stat(real).st_mtime if os.path.exists(real) else 0.0
