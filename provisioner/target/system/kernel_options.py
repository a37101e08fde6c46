"""What the kernel and its modules are told: checked, written, and in effect now or after a restart."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from ..errors import TargetError
from ..probe.audit.files import text_of
from ..probe.system import wsl
from . import boot, live, modprobe, modules, refresh, ways
from .command import Host
from .loaders import put

DO = ("look", "apply")


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"changed", "said": [sentence], "resources", "restart": why|null, "initramfs": [path]}` for `{"do",
    "modprobe", "boot", "blacklist", "known": [option], "astray": [those that are no module's], "state",
    "check"?}`.

    `look` checks everything and changes nothing. Raises TargetError for what cannot be told.
    """
    state = request.get("state")
    if request.get("do") not in DO:
        raise TargetError("do: %.40r is neither look nor apply" % (request.get("do"),))
    if not isinstance(state, str) or not state.startswith("/"):
        raise TargetError("state: an absolute path is needed, not %.60r" % (state,))
    wanted = Asked(
        _typed(request, "modprobe", dict), _typed(request, "boot", list), _typed(request, "blacklist", list)
    )
    names = Names(_typed(request, "known", list), _typed(request, "astray", list))
    host = Host()
    if request.get("do") == "look":
        return look(host, wanted, names, state)
    return have(host, wanted, names, state, bool(request.get("check")))


class Asked(NamedTuple):
    """The role's three variables."""

    modprobe: Dict[str, Any]
    boot: List[Any]
    blacklist: List[Any]


class Names(NamedTuple):
    """Options of the command line, as far as they are known, and those that go there wherever they stood."""

    known: List[str]
    astray: List[str]


def _typed(request: Dict[str, Any], key: str, kind: type) -> Any:
    found = request.get(key) if request.get(key) is not None else kind()
    if not isinstance(found, kind):
        what = "a mapping of modules to their parameters" if kind is dict else "a list"
        raise TargetError("kernel_options_%s: %.60r is not %s" % (key, found, what), "see the role's README")
    return found


class Checked(NamedTuple):
    """What was asked for, and is possible. `elsewhere`: whose kernel it is, when it is not this box's."""

    told: modprobe.Told
    blacklist: List[str]
    options: List[str]
    texts: Dict[str, str]
    said: List[str]
    elsewhere: str


def checked(host: Host, asked: Asked, names: Names) -> Checked:
    """Check everything that was asked for; nothing is changed. Raises TargetError."""
    elsewhere = whose(host)
    if elsewhere and not modules.releases(host):
        said = [elsewhere] if any(asked) else []
        return Checked(modprobe.Told({}, {}, [], []), [], [], {}, said, elsewhere)
    told = modprobe.sort_out(host, asked.modprobe, names.astray)
    blacklist = [str(name) for name in asked.blacklist]
    options = list(dict.fromkeys([*[str(option) for option in asked.boot], *told.boot]))
    said = told.said + modprobe.kept_out(host, blacklist) + boot.checked(options, names.known)
    said += modprobe.conflicts(host, told.options)
    if elsewhere and options:
        # An image of a machine is being made: what modules are told counts where it starts.
        said.append(elsewhere)
    return Checked(told, blacklist, options, modprobe.texts(told.options, blacklist), said, elsewhere)


def look(host: Host, asked: Asked, names: Names, state: str) -> Dict[str, Any]:
    """What it comes to, without doing any of it."""
    found = checked(host, asked, names)
    if not found.elsewhere:
        boot.possible(host, state, found.options)
    image = ways.initramfs(host, ())
    if isinstance(image, ways.Way) and any(
        text_of(host.box, path) != found.texts[path] for path in found.texts
    ):
        try:
            image.ready(host)
        except TargetError:
            # Only then it is worth the time to look what is in it.
            if initramfs(host, found, state):
                raise
    return answer(False, found.said, resources(host, state, found), [], [])


def have(host: Host, asked: Asked, names: Names, state: str, check: bool) -> Dict[str, Any]:
    """Do it, or say what would be done."""
    found = checked(host, asked, names)
    said, restart, changed = list(found.said), [], False
    stale = initramfs(host, found, state)
    for path, text in found.texts.items():
        if text_of(host.box, path) != text:
            changed = True
            said.append("%s was %s" % (path, "written" if text else "taken away"))
            if not check:
                put(host, path, text)
    if not found.elsewhere:
        memory = live.Memory(host, state)
        for outcome in _now(host, found, memory, check):
            said += outcome.said
            restart += outcome.restart
            changed = changed or bool(outcome.said)
        if not check:
            memory.keep(_keys(found))
        moved, words, why = boot.apply(host, state, found.options, check)
        changed, said = changed or moved, said + words
        restart += [why] if why else []
    return answer(changed, said, resources(host, state, found), restart, stale)


def answer(
    changed: bool, said: List[str], known: List[Dict[str, Any]], restart: List[str], stale: List[str]
) -> Dict[str, Any]:
    """The value of the entry."""
    return {
        "changed": changed,
        "said": list(dict.fromkeys(said)),
        "resources": known,
        "restart": "; ".join(restart) or None,
        "initramfs": stale,
    }


def whose(host: Host) -> str:
    """Whose kernel this is, when it is not this system's own; "" when it is."""
    kind = host.container
    if kind:
        return "this is a container (%s), and its host starts the kernel: nothing is set for it here" % kind
    if wsl(host.box, text_of(host.box, "/proc/sys/kernel/osrelease"), None):
        return "Windows starts the kernel of WSL: set kernelCommandLine in .wslconfig there"
    return ""


def _now(host: Host, found: Checked, memory: live.Memory, check: bool) -> List[live.Outcome]:
    told = found.told
    done = [
        live.parameters(host, name, told.loaded_as[name], given, memory, check)
        for name, given in told.options.items()
    ]
    return [*done, live.blacklisted(host, found.blacklist, memory, check)]


def _keys(found: Checked) -> List[str]:
    told = found.told
    keys = ["%s.%s" % (told.loaded_as[name], one) for name, given in told.options.items() for one in given]
    return keys + ["blacklist." + modules.plain(name) for name in found.blacklist]


def resources(host: Host, state: str, found: Checked) -> List[Dict[str, Any]]:
    """What the role is responsible for, once all of it is in effect."""
    ids = {modprobe.OPTIONS: "kernel_options.modprobe", modprobe.BLACKLIST: "kernel_options.blacklist"}
    known: List[Dict[str, Any]] = [
        {"id": ids[path], "kind": "file", "path": path, "refresh": "initramfs"}
        for path, text in found.texts.items()
        if text
    ]
    if found.elsewhere:
        return known
    told = found.told
    for name, given in sorted(told.options.items()):
        for parameter, text in sorted(given.items()):
            one = {"module": told.loaded_as[name], "name": parameter, "wanted": text}
            known.append({"id": "kernel_options.%s.%s" % (name, parameter), "kind": "parameter", **one})
    known += boot.files(host, state, found.options)
    return known + [
        {"id": "kernel_options.boot." + option, "kind": "boot_option", "option": option}
        for option in found.options
    ]


def initramfs(host: Host, found: Checked, state: str) -> List[str]:
    """Our files, when an initramfs may hold modules that they are about, or were about, else nothing."""
    files = [modprobe.OPTIONS, modprobe.BLACKLIST]
    before = [word for path in files for word in modprobe.ABOUT.findall(text_of(host.box, path))]
    told = found.told
    names = {
        modules.plain(name) for name in [*told.options, *told.loaded_as.values(), *found.blacklist, *before]
    }
    made_of = refresh.Stamp(host, state, "initramfs").noted
    if any(path in made_of for path in files) or (names and ways.holds_module(host, names)):
        return files
    return []
