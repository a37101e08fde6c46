"""The NVIDIA driver's user-space side, of the section software: its libraries, and how they came here."""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Set, Tuple

from .. import windows
from ..box import Box, mounts
from . import aptsources, readings
from .files import names_in, resolve, text_of
from .packages import Package, Packages
from .readings import Reading
from .sight import Sight

# Folders of shared libraries, and below them where Debian keeps the driver's.
FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu/nvidia/current",
)
LIBRARIES = ("libcuda.so", "libnvidia-ml.so")
UNINSTALLER = "/usr/bin/nvidia-uninstall"
INSTALLER_LOG = "/var/log/nvidia-installer.log"
INSTALLER_STATE = "/var/lib/nvidia"
_NUMBERED = re.compile(r"(libcuda|libnvidia-ml)\.so\.(\d+\.\d+(?:\.\d+)?)$")
# Which of a driver's many packages is named: the first of these that is there. Its companions (settings,
# prime, persistenced, what a maker of machines adds) come from anywhere, and say nothing of the driver.
_FIRST = (
    "nvidia-driver", "nvidia-open", "cuda-drivers", "nvidia-headless", "nvidia-tesla", "nvidia-legacy",
    "linux-modules-nvidia", "nvidia-kernel", "nvidia-dkms", "libcuda1", "libnvidia-compute", "nvidia-utils",
)  # fmt: skip
# Lists of the packages that a distribution's drivers are among; its other lists are far larger.
_COMPONENTS = re.compile(r"_(restricted|multiverse|contrib|non-free)_binary-[^_]+_Packages$")
_NVIDIA_LIST = re.compile(r"(?i)nvidia|[_/]cuda[-_]")
# The archive of drivers beside Ubuntu that many guides name.
_ARCHIVE = re.compile(r"_graphics-drivers_")
_LIST_LIMIT = 64 << 20


class Way(NamedTuple):
    """How a package came: the way, and what shows it."""

    way: str
    why: str


def library(box: Box, sight: Sight) -> Reading:
    """The version that the driver's libraries have by their names."""
    if sight.wsl:
        return of_windows(box)
    found: Dict[str, str] = {}
    for folder in FOLDERS:
        for name in LIBRARIES:
            target = resolve(box, "%s/%s.1" % (folder, name))
            match = _NUMBERED.search(target or "")
            if match:
                found.setdefault(match.group(2), "%s/%s.1" % (folder, name))
    if not found:
        # No link leads there: ldconfig has not run, or somebody took the links away.
        for folder in FOLDERS:
            for entry in names_in(box, folder):
                match = _NUMBERED.match(entry)
                if match:
                    found.setdefault(match.group(2), "%s/%s" % (folder, entry))
    if len(found) == 1:
        ((version, path),) = found.items()
        return readings.read(version, path)
    if found:
        said = ", ".join("%s (%s)" % (version, found[version]) for version in sorted(found))
        return readings.error("they are of several versions: " + said, sorted(found.values())[0])
    if not box.live and not box.there("/usr/lib"):
        return readings.hidden("the recorded tree has no libraries", FOLDERS[0])
    return readings.absent("no library of an NVIDIA driver is here", FOLDERS[0])


def of_windows(box: Box) -> Reading:
    """Whether programs in WSL find the libraries that Windows brings, whose names carry no version."""
    if not box.there(windows.LIBCUDA):
        return readings.absent("Windows lends no library of an NVIDIA driver", windows.LIBRARIES)
    if windows.hidden_from_programs(box):
        return readings.absent("the loader does not know " + windows.LIBRARIES, windows.LOADER_CACHE)
    return readings.hidden("Windows brings them, and their names carry no version", windows.LIBRARIES)


def sources(box: Box, sight: Sight, database: Packages) -> Reading:
    """`Software.driver_sources`. More than one is a mixture that breaks at the next upgrade."""
    found = [*of_wsl(box, sight), *of_container(box, sight), *of_runfile(box)]
    if database.why is not None and not found:
        return database.why
    found += of_packages(box, database.driver)
    return readings.read(found, database.source or UNINSTALLER)


def of_wsl(box: Box, sight: Sight) -> List[Dict[str, Any]]:
    """The driver that Windows lends to WSL."""
    path = windows.LIBCUDA
    if not (sight.wsl and box.there(path)):
        return []
    return [_source("wsl", path, sight.facts.get("driver_version") or "")]


def of_container(box: Box, sight: Sight) -> List[Dict[str, Any]]:
    """Libraries that the container toolkit laid over the image's, one mount each."""
    if not sight.container:
        return []
    for mount in mounts(box):
        match = _NUMBERED.search(mount["point"])
        if match:
            return [_source("container", mount["point"], match.group(2))]
    return []


def of_runfile(box: Box) -> List[Dict[str, Any]]:
    """NVIDIA's own installer. Its log alone proves nothing: it stays when the driver is taken away."""
    if not box.there(UNINSTALLER):
        return []
    text = text_of(box, INSTALLER_LOG)
    match = re.search(r"(?m)^installer version: (\S+)$", text)
    traces = [path for path in (INSTALLER_STATE, INSTALLER_LOG) if box.there(path)]
    return [_source("runfile", ", ".join([UNINSTALLER, *traces]), match.group(1) if match else "")]


def of_packages(box: Box, packages: List[Package]) -> List[Dict[str, Any]]:
    """One source a way that the installed packages of the driver itself came."""
    chosen: Dict[str, Tuple[Package, Way]] = {}
    packages = [package for package in packages if package.name.startswith(_FIRST)]
    ways = ways_of(box, packages)
    for package in sorted(packages, key=_importance):
        way = ways[package.name]
        chosen.setdefault(way.way, (package, way))
    return [
        _source(name, "%s %s (%s)" % (package.name, package.version, way.why), upstream(package.version))
        for name, (package, way) in sorted(chosen.items())
    ]


def ways_of(box: Box, packages: List[Package]) -> Dict[str, Way]:
    """How each package came, by name: the list that has this version, else what its version looks like."""
    if not packages:
        return {}
    listed, configured = lists(box, packages), nvidia_source(box)
    found = {}
    for package in packages:
        found[package.name] = _way(package, listed.get((package.name, package.version), []), configured)
    return found


def lists(box: Box, packages: List[Package]) -> Dict[Tuple[str, str], List[str]]:
    """The apt lists that have a package in the version that is installed: {(name, version): [list]}."""
    found: Dict[Tuple[str, str], List[str]] = {}
    wanted: Set[Tuple[str, str]] = {(package.name, package.version) for package in packages}
    for entry in names_in(box, aptsources.LISTS):
        some = (_NVIDIA_LIST, _ARCHIVE, _COMPONENTS)
        if not entry.endswith("_Packages") or not any(pattern.search(entry) for pattern in some):
            continue
        try:
            data = b"\n" + box.read("%s/%s" % (aptsources.LISTS, entry), _LIST_LIMIT)
        except OSError:
            continue
        for name, version in wanted:
            if _has(data, name, version):
                found.setdefault((name, version), []).append(entry)
    return found


def nvidia_source(box: Box) -> str:
    """An address of NVIDIA's that apt takes packages from; "" for none."""
    addresses = (source.address for source in aptsources.sources(box))
    # NVIDIA's container toolkit has a repository of its own, without drivers.
    return next((one for one in addresses if _NVIDIA_LIST.search(one) and "container" not in one), "")


def upstream(version: str) -> str:
    """NVIDIA's part of a package's version: "550.54.15" of "1:550.54.15-0ubuntu1"."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)+)", version)
    return match.group(1) if match else version


def _has(data: bytes, name: str, version: str) -> bool:
    head = b"\nPackage: %s\n" % name.encode("utf-8", "replace")
    line = b"\nVersion: %s\n" % version.encode("utf-8", "replace")
    start = data.find(head)
    while start >= 0:
        end = data.find(b"\n\n", start + 1)
        if data.find(line, start, end + 1 if end >= 0 else len(data)) >= 0:
            return True
        start = data.find(head, start + 1)
    return False


def _way(package: Package, listed: List[str], configured: str) -> Way:
    own = [entry for entry in listed if not _NVIDIA_LIST.search(entry)]
    if own:
        way = "other-repository" if _ARCHIVE.search(own[0]) else "distribution"
        return Way(way, "listed by " + _site(own[0]))
    if listed:
        return Way("nvidia-repository", "listed by " + _site(listed[0]))
    if "~gpu" in package.version:
        return Way("other-repository", "a version of the graphics-drivers archive")
    if re.search(r"[~+]deb\d|-\d*ubuntu0\.\d", package.version) or not configured:
        return Way("distribution", "no repository of NVIDIA has it here")
    return Way("nvidia-repository", "in no list here, and packages are taken from NVIDIA")


def _site(entry: str) -> str:
    """Whose list it is: the host, or the folder of a repository that lies on this machine."""
    site, _, rest = entry.partition("_")
    return site or "/" + re.sub(r"_\.?_?Packages$", "", rest).replace("_", "/")


def _importance(package: Package) -> Tuple[int, str]:
    for index, start in enumerate(_FIRST):
        if package.name.startswith(start):
            return index, package.name
    return len(_FIRST), package.name


def _source(way: str, evidence: str, version: str) -> Dict[str, Any]:
    return {"way": way, "evidence": evidence, "version": version}
