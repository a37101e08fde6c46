"""Boot loaders whose command line can be set: GRUB by its menu's settings, others by their entries' files.

Each can start the machine once with options that are being tried, and after that with the line as it was,
where the loader is able to write down that it has done so.
"""

from __future__ import annotations

import os
import re
from typing import List, NamedTuple, Optional, Tuple

from ..errors import TargetError
from ..probe import settings
from ..probe.audit import kernels
from ..probe.audit.files import names_in, text_of
from . import refresh, ways
from .command import Host

DROP_IN = "/etc/default/grub.d/90-provisioner.cfg"
DEFAULTS = kernels.DEFAULTS
MENUS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
SCRIPT = "/etc/grub.d/01_provisioner"
HEAD = "# Written by provision, role kernel_options. What is changed here is lost.\n"
TRY = "provisioner_try"
TRIED = "provisioner_options"
# A kernel or an initramfs that gives up restarts by itself then, into the line as it was (kernel-parameters:
# panic; initramfs-tools(7): panic).
PANIC = "panic=30"
# GRUB reads these and cannot write to them (00_header of grub-common 2.06, check_writable).
ABSTRACTIONS = ("diskfilter", "lvm")
FILE_SYSTEMS = ("btrfs", "cpiofs", "newc", "odc", "romfs", "squash4", "tarfs", "zfs")
VARIABLES = re.compile(r"(?m)^[ \t]*(?:export[ \t]+)?GRUB_CMDLINE_LINUX(?:_DEFAULT)?\+?=(.*)$")


class Line(NamedTuple):
    """What a loader is set to add: always, and once."""

    always: List[str]
    once: List[str]


class Loader:
    """A boot loader. Every method raises TargetError with what is wrong and the next step."""

    name = ""
    # Whether a menu is made of the files.
    made = False

    def __init__(self, host: Host, state: str) -> None:
        self.host, self.state = host, state

    @property
    def settings(self) -> str:
        """The file that is there, or has something of ours, as long as options are kept; "" for none."""
        return ""

    @property
    def trial_file(self) -> str:
        """The file that is there while options are tried."""
        raise NotImplementedError

    def ready(self) -> None:
        """Raise TargetError when it cannot be set, before anything is begun."""
        raise NotImplementedError

    def line(self) -> Line:
        """What was set by us."""
        raise NotImplementedError

    def others(self) -> List[Tuple[str, str]]:
        """(file, option) that somebody else set for every start."""
        raise NotImplementedError

    def cannot_try(self) -> Optional[str]:
        """Why options cannot be tried once; None when they can."""
        raise NotImplementedError

    def set(self, line: Line) -> None:
        """Have the next start made with `always` and `once`, all later ones with `always` only."""
        raise NotImplementedError

    def armed(self) -> bool:
        """Whether the start with `once` is still to come."""
        raise NotImplementedError


class Grub(Loader):
    """GRUB whose menu is made by grub-mkconfig."""

    name = "grub"
    made = True
    trial_file = SCRIPT

    @property
    def settings(self) -> str:
        """Our drop-in, or the one file of settings where grub-mkconfig reads no folder of them."""
        tool = self.host.tool("grub-mkconfig", "grub2-mkconfig")
        return DROP_IN if tool and "default/grub.d" in text_of(self.host.box, tool) else DEFAULTS

    def ready(self) -> None:
        way = ways.boot(self.host, [])
        if isinstance(way, str):
            raise TargetError(way, "install what makes GRUB's menu (grub2-common), then run again")
        way.ready(self.host)

    def line(self) -> Line:
        ours = _block(text_of(self.host.box, self.settings), self.settings == DROP_IN)
        found = re.search(r'(?m)^GRUB_CMDLINE_LINUX_DEFAULT="\$GRUB_CMDLINE_LINUX_DEFAULT ?(.*)"$', ours)
        words = settings.words_of(found.group(1)) if found else []
        tried = re.search(r'(?m)^ *set %s="(.+)"$' % TRIED, text_of(self.host.box, SCRIPT))
        # Without its part of the line, what is left of a trial comes to nothing.
        whole = tried is not None and any(TRIED in word for word in words)
        once = settings.words_of(tried.group(1)) if tried and whole else []
        return Line([word for word in words if not word.startswith("\\")], [o for o in once if o != PANIC])

    def others(self) -> List[Tuple[str, str]]:
        folder = os.path.dirname(DROP_IN)
        paths = [DEFAULTS] + ["%s/%s" % (folder, name) for name in names_in(self.host.box, folder)]
        found = []
        for path in paths:
            if path == DROP_IN or not (path == DEFAULTS or path.endswith(".cfg")):
                continue
            text = text_of(self.host.box, path)
            text = text.replace(_block(text, False), "")
            for value in VARIABLES.findall(text):
                words = settings.words_of(re.sub(r"^[\"']|[\"'][ \t]*(?:#.*)?$", "", value.strip()))
                found += [(path, word) for word in words if "$" not in word]
        return found

    def cannot_try(self) -> Optional[str]:
        probe, editor = self.host.tool("grub-probe", "grub2-probe"), self.editor
        if probe is None or editor is None:
            return "grub-probe or grub-editenv is not on this box"
        folder = os.path.dirname(self.environment)
        for target, refused in (("abstraction", ABSTRACTIONS), ("fs", FILE_SYSTEMS)):
            done = self.host.ask([probe, "--target=" + target, folder])
            if done.rc:
                return "grub-probe does not know what %s lies on" % folder
            for word in done.text().split():
                if word in refused:
                    return "GRUB cannot write to %s, which lies on %s" % (folder, word)
        return None

    @property
    def environment(self) -> str:
        """The file in which GRUB remembers what comes next."""
        return next(
            (path for path in kernels.ENVIRONMENTS if self.host.box.there(os.path.dirname(path))),
            kernels.ENVIRONMENTS[0],
        )

    @property
    def editor(self) -> Optional[str]:
        return self.host.tool("grub-editenv", "grub2-editenv")

    def set(self, line: Line) -> None:
        if not line.once:
            self._flag("unset", TRY)
        text = assignment(line)
        if self.settings == DROP_IN:
            put(self.host, DROP_IN, HEAD + text if text else "")
        else:
            old = text_of(self.host.box, DEFAULTS)
            rest = old.replace(_block(old, False), "")
            block = "# provision: begin\n%s# provision: end\n" % text if text else ""
            put(self.host, DEFAULTS, rest + block)
        put(self.host, SCRIPT, script(line.once) if line.once else "", 0o755)
        if self._lacking(line):
            # Somebody may have had it made since, without this.
            refresh.Stamp(self.host, self.state, "boot").begin()
        made = refresh.refresh(self.host, "boot", [self.settings, SCRIPT], self.state)
        self._prove(line, str(made["said"]))
        if line.once:
            self._flag("set", TRY + "=1")

    @property
    def menu(self) -> str:
        """The menu that GRUB reads."""
        return next((path for path in MENUS if self.host.box.there(path)), MENUS[0])

    def _lacking(self, line: Line) -> List[str]:
        """What of a line the menu does not have."""
        text = text_of(self.host.box, self.menu, 4 << 20)
        lacking = [word for word in line.always if word not in text]
        return lacking + ([] if "${%s}" % TRIED in text else line.once)

    def _prove(self, line: Line, said: str) -> None:
        """Raise TargetError when the menu does not have what it was made to have."""
        lacking = self._lacking(line)
        if lacking:
            raise TargetError(
                "GRUB's menu %s was not made with %s: %s" % (self.menu, ", ".join(lacking), said),
                "see what makes it on this box (`grub-mkconfig`), then run again",
            )

    def armed(self) -> bool:
        if self.editor is None:
            return False
        return "%s=1" % TRY in self.host.ask([self.editor, self.environment, "list"]).lines

    def _flag(self, verb: str, what: str) -> None:
        if self.editor is not None and (verb == "set" or self.host.box.there(self.environment)):
            self.host.do(
                [self.editor, self.environment, verb, what],
                "see that %s can be written, then run again" % self.environment,
            )


def assignment(line: Line) -> str:
    """The line of GRUB's settings; the recovery entries keep theirs without it."""
    words = [*line.always, *(["\\${%s}" % TRIED] if line.once else [])]
    if not words:
        return ""
    return 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT %s"\n' % " ".join(words)


def script(once: List[str]) -> str:
    """What GRUB runs before its menu: the start that comes next has the options, and all others have not."""
    words = [*once, *([] if any(word.startswith("panic=") for word in once) else [PANIC])]
    return (
        "#!/bin/sh\n" + HEAD + "cat <<'EOF'\n"
        'if [ "${%(try)s}" = "1" ]; then\n'
        "  set %(try)s=0\n"
        "  save_env %(try)s\n"
        '  set %(tried)s="%(words)s"\n'
        "else\n"
        "  set %(tried)s=\n"
        "fi\n"
        "export %(tried)s\n"
        "EOF\n"
    ) % {"try": TRY, "tried": TRIED, "words": " ".join(words)}


def _block(text: str, whole: bool) -> str:
    """Our part of a file of settings."""
    if whole:
        return text
    found = re.search(r"(?ms)^# provision: begin\n.*?^# provision: end\n", text)
    return found.group(0) if found else ""


def put(host: Host, path: str, text: str, mode: int = 0o644) -> bool:
    """Write a file so that it is whole or as it was; "" takes it away. Whether anything was changed."""
    real = host.box.path(path)
    try:
        if not text:
            if not os.path.lexists(real):
                return False
            os.unlink(real)
        else:
            if text_of(host.box, path) == text and os.stat(real).st_mode & 0o777 == mode:
                return False
            os.makedirs(os.path.dirname(real), 0o755, exist_ok=True)
            # Hidden, so that nobody who reads the folder takes it for one of its files.
            temporary = os.path.join(os.path.dirname(real), ".provision-new")
            with open(temporary, "w", encoding="utf-8") as out:
                os.fchmod(out.fileno(), mode)
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, real)
        folder = os.open(os.path.dirname(real), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise TargetError(
            "cannot write %s: %s" % (path, error.strerror),
            "see that it lies on a file system that is writable and has room, then run again",
        ) from error
    return True
