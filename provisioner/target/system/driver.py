"""The driver of this box: look what there is, load it, prove it, say why it does not work.

`wants` are the public variables of the role nvidia_driver, without the role's name.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List

from ..errors import TargetError
from ..probe.audit import drivers
from ..probe.driver_names import is_driver, patterns
from . import driver_check, driver_decide, driver_headers, driver_key, driver_load, driver_look
from .command import Host

# What asks for a password at the blue screen, and makes a hash of it.
KEY_PACKAGES = ("mokutil", "openssl")
# What NVIDIA's own installer builds with; its name is the same everywhere.
BUILDS = ("dkms", "gcc", "make")
TYPED = 560
# It tells the package manager which branch it may take, from the next time on: NVIDIA's driver installation
# guide says to install it before the driver.
PINNING = "nvidia-driver-pinning-"
# Packages that carry the driver's own version; pieces that go with any driver have versions of theirs.
VERSIONED = (
    "nvidia-driver", "nvidia-open", "nvidia-kernel", "nvidia-dkms", "nvidia-headless", "nvidia-utils",
    "libnvidia-compute", "libcuda1", "cuda-drivers", "kmod-nvidia",
)  # fmt: skip
# These begin like them, and have versions of their own.
TOOLS = ("-assistant", "-pinning")


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"do": one of DOINGS, "wants", "check", …}`; each answers `changed`."""
    done = DOINGS.get(str(request.get("do")))
    if done is None:
        raise TargetError(
            "%.40r is nothing to do about a driver" % (request.get("do"),),
            "one of " + ", ".join(sorted(DOINGS)),
        )
    return {"changed": False, **done(Host(), request)}


def look(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """What is to be done: `do` (nothing, check, install), `say`, `load`, `key`, and what is to be installed:
    `headers`, `way_out`, `packages`, of which `first` come before the others; `own` are the
    patterns of the driver's packages.
    """
    wants = request["wants"]
    seen = driver_look.look(host)
    verdict = driver_decide.decide(seen, wants)
    if verdict.do == "install" and not wants["runfile"]:
        beside_an_installers(host)
    signs = bool(verdict.load and seen.secure_boot and driver_decide.signs_itself(wants))
    needs = headers(host, seen, wants) if verdict.do == "install" else driver_headers.Needs([])
    wanted = packages(seen, wants, signs) if verdict.do == "install" else []
    return {
        "do": verdict.do,
        "say": verdict.say,
        "loaded": seen.loaded,
        "load": verdict.load,
        "key": signs,
        "headers": needs.packages,
        "way_out": needs.way_out,
        "first": [name for name in wanted if name.startswith(PINNING)],
        "packages": wanted,
        "own": patterns(),
        "installer": installer(wants) if wants["runfile"] else [],
    }


def beside_an_installers(host: Host) -> None:
    """Raise TargetError where NVIDIA's own installer has put a driver: packages overwrite parts of it."""
    for one in drivers.of_runfile(host.box):
        raise TargetError(
            "a driver of NVIDIA's own installer is here (%s), and packages of one do not go beside it"
            % one["evidence"],
            "keep it (nvidia_driver_branch=keep), or take it off (nvidia-uninstall), restart, and run again",
        )


def headers(host: Host, seen: driver_look.Seen, wants: Dict[str, Any]) -> driver_headers.Needs:
    """What modules that are built here need; nothing where they come built."""
    if wants["headers"]:
        return driver_headers.Needs(list(wants["headers"]), "correct nvidia_driver_headers")
    if seen.container or not driver_decide.signs_itself(wants):
        return driver_headers.Needs([])
    kind = driver_headers.family(seen.ident, seen.like)
    there = driver_look.installed(host.box)
    return driver_headers.needs(kind, seen.kernels, there, driver_look.compiler(host.box))


def packages(seen: driver_look.Seen, wants: Dict[str, Any], signs: bool) -> List[str]:
    """What is installed besides headers; without the fabric manager, whose version is the driver's."""
    found = list(wants["packages"])
    if found and wants["persistence"] and driver_headers.family(seen.ident, seen.like) == "debian":
        # A package of its own there, which the driver only recommends; elsewhere the driver brings it.
        found.append("nvidia-persistenced")
    if wants["runfile"]:
        found += BUILDS
    if wants["container_toolkit"]:
        found.append("nvidia-container-toolkit")
    if signs:
        found += KEY_PACKAGES
    return list(dict.fromkeys(found))


def installer(wants: Dict[str, Any]) -> List[str]:
    """Arguments for NVIDIA's own installer: dkms builds its modules again for each later kernel.

    From branch 560 on it is told of the modules by --kernel-module-type, before by a folder (-m=kernel-open).
    """
    found = ["--silent", "--dkms", "--no-nouveau-check", "--tmpdir={tmp}"]
    kind, branch = str(wants["modules"]), driver_check.branch(str(wants["version"]))
    if branch.isdigit() and int(branch) >= TYPED and kind != "auto":
        return [*found, "--kernel-module-type=" + kind]
    return [*found, "-m=kernel-open"] if kind == "open" else found


def fabric(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """`packages`: the fabric manager of exactly the driver's version; it refuses to work with any other."""
    wanted = str(request["wants"]["fabric_manager"])
    if not wanted:
        return {"packages": []}
    name = wanted.partition("=")[0]
    own: Dict[str, str] = request["own"]
    named = [one for one in own if one.startswith(VERSIONED) and is_driver(one)]
    versions = {drivers.upstream(own[one]) for one in named if not any(tool in one for tool in TOOLS)}
    if len(versions) != 1:
        raise TargetError(
            "the driver's packages are of %s, and the fabric manager must be of exactly the driver's version"
            % (" and ".join(sorted(versions)) or "no version"),
            "run again with --upgrade, so that all are of one",
        )
    version = versions.pop()
    for offered in offers(host, name):
        if drivers.upstream(offered) == version:
            return {"packages": ["%s=%s" % (name, offered)]}
    raise TargetError(
        "no source of packages has %s %s, and it must be of exactly the driver's version" % (name, version),
        "use the repository that the driver came from, or another branch of the driver",
    )


def offers(host: Host, name: str) -> List[str]:
    """The versions of a package that the sources of packages have, as the package manager writes them."""
    apt, dnf = host.tool("apt-cache"), host.tool("dnf")
    if apt:
        lines = host.do([apt, "madison", name], "see what apt-get update says").lines
        return [words[1].strip() for words in (line.split("|") for line in lines) if len(words) == 3]
    if dnf:
        asked = [dnf, "--quiet", "repoquery", "--queryformat", "%{version}-%{release}\n", name]
        return host.do(asked, "see what dnf makecache says").lines
    return []


def key(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """See driver_key.prepare."""
    box = host.box
    boot = box.text("/proc/sys/kernel/random/boot_id").strip()
    return driver_key.prepare(
        host, request["certificates"], request["state"], boot, bool(request.get("check"))
    )


def load(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """See driver_load.load."""
    seen = driver_look.look(host)
    return driver_load.load(host, seen, request["wants"]["load"], bool(request.get("check")))


def again(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """`now`: what is there once a change was taken back, in words; the driver from before is loaded again."""
    seen = driver_look.look(host)
    version = str(request.get("loaded") or "")
    if not version and seen.gpus and not seen.container:
        # After a restart with the new one nobody knows any more which was loaded: the one that is back.
        found = driver_look.module_of(host, seen.running)
        version = found.version if found else ""
    if not version:
        return {"now": "what was there before is back"}
    try:
        done = driver_load.load(host, seen, (), bool(request.get("check")))
    except TargetError as error:
        return {"now": "driver %s is back, and does not load (%s)" % (version, error.message)}
    if done["reboot"]:
        return {"now": "driver %s is back, and works after a restart (%s)" % (version, done["reboot"])}
    return {"changed": done["changed"], "now": "driver %s is back, and loaded" % done["loaded"]}


def check(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """See driver_check.check; with `check`, nothing that is only foreseen is asked."""
    return driver_check.check(host, driver_look.look(host), request["wants"], bool(request.get("install")))


def why(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """`why` and `hint` for a person: what went wrong, and what dkms's logs say of it."""
    began = host.box.path("%s/saved/nvidia_driver/before" % request["state"])
    # Where no package has changed, nothing was built: a log that lies there is older.
    since = os.stat(began).st_mtime if os.path.isdir(began) else float("inf")
    keep = "%s/jobs/packages-nvidia_driver" % request["state"]
    return driver_check.why(host, str(request.get("said") or ""), since, keep)


DOINGS: Dict[str, Callable[[Host, Dict[str, Any]], Dict[str, Any]]] = {
    "look": look,
    "fabric": fabric,
    "key": key,
    "load": load,
    "again": again,
    "check": check,
    "why": why,
}
