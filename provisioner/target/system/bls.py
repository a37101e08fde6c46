"""Loaders with a file for each entry (Boot Loader Specification): systemd-boot, and GRUB of EL and Fedora.

A trial is a copy of the entry that would start next, with the options added, which is chosen for one start.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..errors import TargetError
from ..probe import settings
from ..probe.audit import kernels
from ..probe.audit.files import names_in, text_of
from ..runtime.files import read_json
from .command import Host
from .loaders import PANIC, Line, Loader, put

FOLDERS = ("/boot/loader/entries", "/efi/loader/entries", "/boot/efi/loader/entries")
CMDLINE = "/etc/kernel/cmdline"
# Below the state folder: which of the entries' options are ours.
NOTE = "/refreshed/boot_options.json"
# Beside "…-0-rescue", which such menus list last.
TRIAL = "-0-provisioner"
KEY = re.compile(r"(?m)^[ \t]*(\S+)[ \t]+(.*)$")


class Entry(NamedTuple):
    """An entry's file, and its keys."""

    path: str
    text: str
    keys: Dict[str, str]


class Entries(Loader):
    """Entries' files; how one is chosen for a single start, and how all are changed, differs."""

    def ready(self) -> None:
        folder = self.next().path.rpartition("/")[0]
        if self.host.read_only(folder):
            raise TargetError(
                "%s is mounted read-only" % folder, "remount it (`mount -o remount,rw`), then run again"
            )

    def line(self) -> Line:
        always = (read_json(self.host.box.path(self.note)) or {}).get("always")
        trial = self.trial()
        given = settings.words_of(trial.keys.get("options", "")) if trial else []
        base = settings.words_of(self.next().keys.get("options", "")) if trial else []
        kept = [str(option) for option in always] if isinstance(always, list) else []
        return Line(kept, [word for word in given if word not in base and word != PANIC])

    @property
    def note(self) -> str:
        """Where it is kept which of the entries' options are ours."""
        return self.state + NOTE

    def entries(self) -> List[Entry]:
        """All entries that start a kernel, but the trial's."""
        found = []
        for folder in FOLDERS:
            for name in names_in(self.host.box, folder):
                path = "%s/%s" % (folder, name)
                text = text_of(self.host.box, path)
                keys = dict(KEY.findall(text))
                if name.endswith(".conf") and "linux" in keys and not name.endswith(TRIAL + ".conf"):
                    found.append(Entry(path, text, keys))
        return found

    def trial(self) -> Optional[Entry]:
        """The entry that is being tried, where there is one."""
        for folder in FOLDERS:
            for name in names_in(self.host.box, folder):
                if name.endswith(TRIAL + ".conf"):
                    path = "%s/%s" % (folder, name)
                    text = text_of(self.host.box, path)
                    return Entry(path, text, dict(KEY.findall(text)))
        return None

    def next(self) -> Entry:
        """The entry of the kernel that starts next."""
        running = text_of(self.host.box, "/proc/sys/kernel/osrelease").strip()
        release = kernels.next_kernel(self.host.box, running) or running
        for entry in self.entries():
            if entry.keys.get("version") == release or entry.keys["linux"].endswith("-" + release):
                return entry
        for entry in self.entries():
            if release in entry.path or release in entry.keys["linux"]:
                return entry
        raise TargetError(
            "the boot loader has no entry for kernel %s" % release,
            "write one (`kernel-install add %s …`), then run again" % release,
        )

    def others(self) -> List[Tuple[str, str]]:
        ours = self.line().always
        entry = self.next()
        words = settings.words_of(entry.keys.get("options", ""))
        return [(entry.path, word) for word in words if word not in ours and "$" not in word]

    def armed(self) -> bool:
        # The loaders forget their choice themselves: as long as nobody restarts, it is still to come.
        return False

    def set(self, line: Line) -> None:
        old = self.line().always
        trial = self.trial()
        if trial is not None and not line.once:
            put(self.host, trial.path, "")
        self.change([o for o in line.always if o not in old], [o for o in old if o not in line.always])
        put(self.host, self.note, "" if not line.always else _json(line.always))
        if line.once:
            self.arm(self.copy(line.once))

    def copy(self, once: List[str]) -> str:
        """Write the entry that is tried, and give its path."""
        source = self.next()
        words = [*once, *([] if any(word.startswith("panic=") for word in once) else [PANIC])]
        lines = []
        for line in source.text.splitlines():
            key = line.split(None, 1)[0] if line.strip() else ""
            # Whatever sorts entries would make a copy the default.
            if key in ("sort-key", "id", "grub_arg"):
                continue
            added = " (tries kernel options)" if key == "title" else ""
            if key == "options":
                added, words = " " + " ".join(words), []
            lines.append((line + added).rstrip())
        if words:
            lines.append("options " + " ".join(words))
        path = self.trial_file
        put(self.host, path, "\n".join(lines) + "\n")
        return path

    @property
    def trial_file(self) -> str:
        folder, _, name = self.next().path.rpartition("/")
        return "%s/%s%s.conf" % (folder, name.split("-", 1)[0].split(".conf", 1)[0], TRIAL)

    def arm(self, path: str) -> None:
        """Choose an entry for one start."""
        raise NotImplementedError

    def change(self, add: List[str], drop: List[str]) -> None:
        """Change the options of all entries, and of those of kernels that are yet to be installed."""
        raise NotImplementedError


class Grubby(Entries):
    """EL and Fedora: grubby changes the entries and what new ones are made from."""

    name = "grub"

    def cannot_try(self) -> Optional[str]:
        if self.host.tool("grub2-reboot") is None or self.host.tool("grub2-probe") is None:
            return "grub2-reboot is not on this box"
        probe = str(self.host.tool("grub2-probe"))
        for target, refused in (("abstraction", ("diskfilter", "lvm")), ("fs", ("btrfs", "zfs"))):
            words = self.host.ask([probe, "--target=" + target, "/boot/grub2"]).text().split()
            if any(word in refused for word in words):
                return "GRUB cannot write to /boot/grub2, which lies on %s" % ", ".join(words)
        return None

    def arm(self, path: str) -> None:
        name = path.rsplit("/", 1)[-1][: -len(".conf")]
        hint = "see that /boot/grub2/grubenv can be written, then run again"
        self.host.do([str(self.host.tool("grub2-reboot")), name], hint)

    def change(self, add: List[str], drop: List[str]) -> None:
        tool = self.host.tool("grubby")
        if not add and not drop:
            return
        argv = [str(tool), "--update-kernel=ALL"]
        argv += ["--args=" + " ".join(add)] if add else []
        argv += ["--remove-args=" + " ".join(drop)] if drop else []
        self.host.do(argv, "`grubby --info=ALL` shows the entries; correct what it names, then run again")


class SystemdBoot(Entries):
    """systemd-boot: entries are changed in place, and /etc/kernel/cmdline is what new ones are made from."""

    name = "systemd-boot"

    def cannot_try(self) -> Optional[str]:
        if self.host.tool("bootctl") is None:
            return "bootctl is not on this box"
        if not self.host.box.there("/sys/firmware/efi/efivars"):
            return "the firmware's variables cannot be written here"
        return None

    def arm(self, path: str) -> None:
        self.host.do(
            [str(self.host.tool("bootctl")), "set-oneshot", path.rsplit("/", 1)[-1]],
            "`bootctl status` says what the boot loader can; correct what it names, then run again",
        )

    def change(self, add: List[str], drop: List[str]) -> None:
        for entry in self.entries():
            put(self.host, entry.path, _changed(entry.text, add, drop))
        if self.host.box.there(CMDLINE):
            text = text_of(self.host.box, CMDLINE)
            words = [word for word in settings.words_of(text) if word not in drop]
            new = " ".join([*words, *[word for word in add if word not in words]]) + "\n"
            if new.split() != text.split():
                put(self.host, CMDLINE, new)


def _changed(text: str, add: List[str], drop: List[str]) -> str:
    """An entry whose options were changed; of several lines of options the first gets the new ones."""
    lines, waiting = [], list(add)
    for line in text.splitlines():
        words = settings.words_of(line)
        if words[:1] == ["options"]:
            kept = [word for word in words[1:] if word not in drop]
            kept += [word for word in waiting if word not in kept]
            waiting = []
            lines.append("options " + " ".join(kept))
        else:
            lines.append(line)
    if waiting:
        lines.append("options " + " ".join(waiting))
    return "\n".join(lines) + "\n"


def _json(always: List[str]) -> str:
    import json

    return json.dumps({"schema": 1, "always": always}) + "\n"


def entries_of(host: Host) -> bool:
    """Whether the boot loader's entries are files of their own."""
    return any(name.endswith(".conf") for folder in FOLDERS for name in names_in(host.box, folder))
