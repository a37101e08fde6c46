"""Parameters of modules that are in the kernel now: changed where it lets them, else after a restart."""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import TargetError
from ..probe import settings
from ..probe.audit.files import names_in, text_of
from ..probe.receipt import write
from ..runtime.files import read_json
from .command import Host
from .modules import plain

FOLDER = "/sys/module"


class Outcome(NamedTuple):
    """`restart`: why one is needed, by module; `said`: what was changed, or would be, in sentences."""

    restart: List[str]
    said: List[str]


class Memory:
    """What waits for a restart, and in which boot that was noted. A parameter that the kernel does not show
    counts as set once the module was loaded after modprobe was told.
    """

    def __init__(self, host: Host, state: str) -> None:
        self.path = host.box.path(state + "/refreshed/kernel_options.json")
        self.boot = text_of(host.box, "/proc/sys/kernel/random/boot_id").strip()
        noted = (read_json(self.path) or {}).get("noted")
        self.noted: Dict[str, Dict[str, Any]] = noted if isinstance(noted, dict) else {}
        self.before = dict(self.noted)

    def loaded(self, key: str, text: str) -> bool:
        """Whether the module was loaded since modprobe was told it."""
        note = self._known(key, text)
        return note is not None and (note.get("loaded") is True or note.get("boot") != self.boot)

    def in_vain(self, key: str, text: str) -> bool:
        """Whether there was a restart for its sake."""
        note = self._known(key, text)
        return note is not None and note.get("loaded") is not True and note.get("boot") != self.boot

    def note(self, key: str, text: str, loaded: bool) -> None:
        """Remember it for the next run."""
        known = self._known(key, text)
        if not (loaded and known is not None and known.get("loaded") is True):
            self.noted[key] = {"text": text, "boot": self.boot, "loaded": loaded}

    def keep(self, keys: List[str]) -> None:
        """Write it down, without what is no longer asked for."""
        self.noted = {key: value for key, value in self.noted.items() if key in keys}
        if self.noted != self.before:
            write(self.path, {"schema": 1, "noted": self.noted})

    def _known(self, key: str, text: str) -> Optional[Dict[str, Any]]:
        note = self.noted.get(key)
        return note if isinstance(note, dict) and note.get("text") == text else None


def parameters(
    host: Host, name: str, loaded_as: str, wanted: Dict[str, str], memory: Memory, check: bool
) -> Outcome:
    """Have a module that is loaded run with its parameters. Raises TargetError when it did not take one that
    it was started with.
    """
    outcome = Outcome([], [])
    if not loaded(host, loaded_as):
        for parameter, text in wanted.items():
            # Whenever it is loaded from now on, modprobe has been told.
            memory.note("%s.%s" % (loaded_as, parameter), text, loaded=True)
        return outcome
    left = {}
    for parameter, text in sorted(wanted.items()):
        key = "%s.%s" % (loaded_as, parameter)
        if holds(host, loaded_as, parameter, text, memory):
            memory.note(key, text, loaded=True)
            continue
        shown = value(host, loaded_as, parameter)
        if shown is not None and memory.in_vain(key, text):
            raise TargetError(
                "module %s runs with %s=%s after the restart, though modprobe is told %s"
                % (loaded_as, parameter, shown, text),
                "`dmesg | grep %s` says why it did not take it: give another value, or none" % loaded_as,
            )
        if writable(host, loaded_as, parameter) and (check or set_now(host, loaded_as, parameter, text)):
            outcome.said.append("%s was set to %s in the running kernel" % (key, text))
        else:
            left[parameter] = text
    if left and unused(host, loaded_as):
        outcome.said.append("module %s was loaded anew with %s" % (loaded_as, ", ".join(sorted(left))))
        left = {} if check else again(host, name, loaded_as, left, memory)
    if left:
        pairs = ", ".join("%s=%s" % one for one in sorted(left.items()))
        outcome.restart.append("%s of module %s, which is in use" % (pairs, loaded_as))
        for parameter, text in left.items():
            memory.note("%s.%s" % (loaded_as, parameter), text, loaded=False)
    return outcome


def blacklisted(host: Host, names: List[str], memory: Memory, check: bool) -> Outcome:
    """Have modules that stay out go out now. Raises TargetError for one that came back after a restart."""
    outcome = Outcome([], [])
    for name in names:
        key = "blacklist." + plain(name)
        if not loaded(host, plain(name)):
            memory.note(key, "", loaded=True)
            continue
        if memory.in_vain(key, ""):
            raise TargetError(
                "%s is loaded after the restart, though it is blacklisted" % name,
                "something asks for it by name: `grep -rn %s /etc/modules* /etc/modprobe.d`" % name,
            )
        if unused(host, plain(name)):
            outcome.said.append("module %s was unloaded" % name)
            if check or unload(host, name):
                memory.note(key, "", loaded=True)
                continue
            outcome.said.pop()
        memory.note(key, "", loaded=False)
        outcome.restart.append("module %s is in use and goes with the next start" % name)
    return outcome


def loaded(host: Host, module: str) -> bool:
    """Whether a module is in the kernel, as one that was loaded; parts of the kernel have no such file."""
    return host.box.there("%s/%s/refcnt" % (FOLDER, module))


def value(host: Host, module: str, parameter: str) -> Optional[str]:
    """A parameter as the kernel shows it, None where it does not."""
    path = "%s/%s/parameters/%s" % (FOLDER, module, parameter)
    text = (
        text_of(host.box, path)
        if host.box.there(path)
        else settings.shown_by_nvidia(host.box, module, parameter)
    )
    return text.strip() if text else None


def holds(host: Host, module: str, parameter: str, text: str, memory: Memory) -> bool:
    """Whether the loaded module runs with a parameter, as far as can be known."""
    shown = value(host, module, parameter)
    key = "%s.%s" % (module, parameter)
    return memory.loaded(key, text) if shown is None else settings.equal(shown, text)


def writable(host: Host, module: str, parameter: str) -> bool:
    """Whether the kernel lets a parameter be changed while the module runs."""
    try:
        found = os.stat(host.box.path("%s/%s/parameters/%s" % (FOLDER, module, parameter)))
    except OSError:
        return False
    return bool(stat.S_IMODE(found.st_mode) & stat.S_IWUSR)


def set_now(host: Host, module: str, parameter: str, text: str) -> bool:
    """Change a parameter of a running module; whether it took it."""
    path = host.box.path("%s/%s/parameters/%s" % (FOLDER, module, parameter))
    try:
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError:
        # The module itself refuses some values while it runs, which is no fault: a restart brings them.
        return False
    return settings.equal(value(host, module, parameter) or "", text)


def unused(host: Host, module: str) -> bool:
    """Whether a module can go without anybody missing it: nothing refers to it, and it drives no device.

    A network card's driver has no references while the machine is reached through it.
    """
    folder = "%s/%s" % (FOLDER, module)
    if text_of(host.box, folder + "/refcnt").strip() != "0" or names_in(host.box, folder + "/holders"):
        return False
    for driver in names_in(host.box, folder + "/drivers"):
        bound = [
            name
            for name in names_in(host.box, "%s/drivers/%s" % (folder, driver))
            if name != "module" and os.path.islink(host.box.path("%s/drivers/%s/%s" % (folder, driver, name)))
        ]
        if bound:
            return False
    return True


def unload(host: Host, name: str) -> bool:
    """Take a module out; whether it went. Something may have begun to use it meanwhile."""
    tool = host.tool("modprobe")
    return tool is not None and host.ask([tool, "-r", name]).rc == 0


def again(host: Host, name: str, loaded_as: str, wanted: Dict[str, str], memory: Memory) -> Dict[str, str]:
    """Load a module anew; which of the parameters it has not for all that. Raises TargetError when the module
    does not come back.
    """
    if not unload(host, name):
        return wanted
    hint = "`dmesg` says why; take its options out of kernel_options_modprobe"
    host.do([str(host.tool("modprobe")), name], hint)
    for parameter, text in wanted.items():
        memory.note("%s.%s" % (loaded_as, parameter), text, loaded=True)
    return {key: text for key, text in wanted.items() if not holds(host, loaded_as, key, text, memory)}
