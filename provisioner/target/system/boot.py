"""Options of the kernel's command line: tried for one start, kept once the machine came back with them."""

from __future__ import annotations

import re
from typing import Any, Collection, Dict, List, NamedTuple, Optional, Tuple

from ..errors import TargetError
from ..probe import settings
from ..probe.audit.files import text_of
from ..probe.audit.loader import loader as loader_of
from ..probe.receipt import remove, write
from ..runtime.files import read_json
from . import bls, modules
from .command import Host
from .loaders import Grub, Line, Loader

# What shell, GRUB and the kernel all take for a plain word.
PLAIN = re.compile(r"[\w.,:/=@+%~^!-]+\Z")
# These say where the system itself is, or how it begins.
NOT_OURS = (
    "root", "rootflags", "rootfstype", "initrd", "init", "rdinit", "BOOT_IMAGE", "resume", "ro", "rw",
)  # fmt: skip

UNREAD = "; the boot loader never looked at its settings, so another one starts this machine"
TAKEN_OFF = "; the line is as it was before"


class State(NamedTuple):
    """How things stand: `line` is to be set, `restart` is why one is needed, `failed` did not come."""

    line: Line
    restart: Optional[str]
    failed: List[str]
    said: List[str]


def checked(options: List[str], known: Collection[str]) -> List[str]:
    """Sentences about options that nobody here knows. Raises TargetError for what can be no option."""
    said = []
    for option in options:
        name = option.partition("=")[0]
        if " " in option.strip() or not option:
            raise TargetError(
                "kernel_options_boot: %r is not one option" % option,
                "write each option as an item of its own",
            )
        if not PLAIN.match(option) or not re.match(r"\w", option):
            raise TargetError(
                "kernel_options_boot: %r has a sign that boot loaders do not pass on" % option,
                "letters, digits and . , : / = @ + % ~ ^ ! - _ are passed on",
            )
        if name in NOT_OURS:
            raise TargetError(
                "kernel_options_boot: %s says where this system is, or how it begins" % name,
                "set it in the boot loader by hand if it must differ",
            )
        if "." not in name and modules.plain(name) not in known:
            meant = modules.near(modules.plain(name), sorted(known))
            maybe = " (did you mean %s?)" % meant if meant else ""
            said.append(
                "%s is no option that is known here%s; the kernel says nothing of those it does not know"
                % (name, maybe)
            )
    return said


def choose(host: Host, state: str) -> Tuple[Optional[Loader], str]:
    """The boot loader of this box, or None and why its command line cannot be set."""
    found = loader_of(host.box)
    name = str(found["value"]) if found["state"] == "read" else ""
    if name == "grub" and host.tool("grubby") and bls.entries_of(host):
        return Grubby(host, state), ""
    if name == "grub" and host.tool("update-grub", "grub-mkconfig", "grub2-mkconfig"):
        return Grub(host, state), ""
    if name == "systemd-boot" and bls.entries_of(host) and host.tool("kernelstub") is None:
        return bls.SystemdBoot(host, state), ""
    if name == "hypervisor":
        return None, "the hypervisor starts this kernel by itself: add %s where it keeps its command line"
    if name:
        return (
            None,
            "the command line of the boot loader "
            + name
            + " is not set by this program: add %s to it by hand",
        )
    return None, "no boot loader is known on this box: add %s to the kernel's command line by hand"


Grubby = bls.Grubby


def files(host: Host, state: str, wanted: List[str]) -> List[Dict[str, Any]]:
    """Resources of files that are there while options of ours are, or while they are tried."""
    chosen, _ = choose(host, state)
    if chosen is None:
        return []
    theirs, now = {settings.canonical(option) for _, option in chosen.others()}, live(host)
    ours = [option for option in wanted if settings.canonical(option) not in theirs]
    known = [("kernel_options.boot", chosen.settings)] if ours else []
    if any(settings.canonical(option) not in now for option in ours):
        # It goes once they are kept; whoever takes the role off before that takes it along.
        known.append(("kernel_options.boot_trial", chosen.trial_file))
    made = {"refresh": "boot"} if chosen.made else {}
    return [{"id": name, "kind": "file", "path": path, **made} for name, path in known if path]


def live(host: Host) -> List[str]:
    """The options that the kernel was started with, as it compares them."""
    return [settings.canonical(word) for word in settings.words_of(text_of(host.box, "/proc/cmdline"))]


class Trial:
    """What is being tried. `armed`: the boot loader was told in this boot; `over`: a restart came since."""

    def __init__(self, host: Host, state: str) -> None:
        self.path = host.box.path(state + "/refreshed/boot_trial.json")
        self.boot = text_of(host.box, "/proc/sys/kernel/random/boot_id").strip()
        body: Dict[str, Any] = read_json(self.path) or {}
        options = body.get("options")
        self.options = [str(option) for option in options] if isinstance(options, list) else []
        self.armed = bool(self.options) and body.get("armed") is True and body.get("boot") == self.boot
        self.over = bool(self.options) and body.get("armed") is True and body.get("boot") != self.boot

    def note(self, options: List[str], armed: bool) -> None:
        """Remember it beyond a power cut."""
        write(self.path, {"schema": 1, "options": options, "armed": armed, "boot": self.boot})

    def end(self) -> None:
        """Forget it."""
        remove(self.path)


def stand(host: Host, chosen: Loader, line: Line, trial: Trial, wanted: List[str]) -> State:
    """What has to be set, from what is wanted, what somebody else has set, and what the kernel runs with."""
    now, others = live(host), chosen.others()
    theirs = {settings.canonical(option): path for path, option in others}
    said = []
    for option in wanted:
        name, equals, _ = settings.canonical(option).partition("=")
        for path, other in others:
            if (
                equals
                and settings.canonical(other).startswith(name + "=")
                and settings.canonical(other) != settings.canonical(option)
            ):
                said.append("%s has %s: %s comes after it and wins" % (path, other, option))
    ours = [option for option in wanted if settings.canonical(option) not in theirs]
    missing = [option for option in wanted if settings.canonical(option) not in now]
    # Whoever took the role off meanwhile took its trial along, which nobody is to be blamed for.
    set_by_us = [*line.once, *line.always]
    failed = [one for one in missing if one in trial.options and one in set_by_us] if trial.over else []
    # What did not come is taken off, and nothing else is begun on top of it.
    once = [] if failed else [option for option in ours if option in missing]
    always = [option for option in ours if option not in missing]
    waiting = [option for option in missing if settings.canonical(option) in theirs]
    why = None
    if once or waiting:
        why = "%s on the kernel's command line" % ", ".join([*once, *waiting])
        said += [
            "%s is in %s, and the kernel was started without it" % (o, theirs[settings.canonical(o)])
            for o in waiting
        ]
    return State(Line(always, once), why, failed, said)


def possible(host: Host, state: str, wanted: List[str]) -> Optional[Loader]:
    """The loader that is to have them, None where there is nothing to do. Raises TargetError where a boot
    loader is in use that nothing is known of, and an option is missing.
    """
    chosen, why_not = choose(host, state)
    now = live(host)
    missing = [option for option in wanted if settings.canonical(option) not in now]
    if chosen is None and missing:
        raise TargetError(why_not % ", ".join(missing), "then restart, and run again")
    if chosen is not None and missing:
        chosen.ready()
    return chosen


def apply(host: Host, state: str, wanted: List[str], check: bool) -> Tuple[bool, List[str], Optional[str]]:
    """(changed, sentences, why a restart is needed). Raises TargetError when the machine did not come back
    with what was tried, after having taken it off.
    """
    chosen, trial = possible(host, state, wanted), Trial(host, state)
    if chosen is None:
        return False, [], None
    old = chosen.line()
    if not wanted and not old.always and not old.once and not trial.options:
        return False, [], None
    found = stand(host, chosen, old, trial, wanted)
    said, tried = list(found.said), found.line.once
    plainly = chosen.cannot_try() if tried else None
    line = Line(found.line.always + tried, []) if plainly else found.line
    if plainly:
        said.append("%s: %s is set without being tried first" % (plainly, ", ".join(tried)))
    changed = old != line or bool(tried and not (trial.options == tried and trial.armed))
    unread = bool(found.failed) and chosen.armed()
    if not check:
        if changed:
            if tried:
                trial.note(tried, armed=False)
            chosen.set(line)
        if tried:
            trial.note(tried, armed=True)
        elif trial.options:
            trial.end()
    if found.failed:
        raise TargetError(
            "this machine did not come back with %s on its kernel's command line%s%s"
            % (", ".join(found.failed), UNREAD if unread else "", "" if check else TAKEN_OFF),
            "look at that start's console, or `journalctl --boot=-1`; take it out of kernel_options_boot",
        )
    if changed:
        said += _changes(old, line, [] if plainly else tried)
    return changed, said, found.restart


def _changes(old: Line, new: Line, tried: List[str]) -> List[str]:
    said = []
    if tried:
        said.append("the next start tries %s, and the one after it has the line as it was" % ", ".join(tried))
    kept = [option for option in new.always if option in old.once]
    if kept:
        said.append("the machine came back with %s, which stays" % ", ".join(kept))
    gone = [option for option in old.always if option not in [*new.always, *new.once]]
    if gone:
        said.append("%s goes with the next start" % ", ".join(gone))
    return said
