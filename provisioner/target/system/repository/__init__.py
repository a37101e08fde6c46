"""NVIDIA's package repository on a box: its key fetched and checked, tried, and put among the sources.

Nothing is installed, not even NVIDIA's package of the key, so what is put here is three files of ours at
most, and taking them away leaves nothing.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping
from urllib.parse import urlsplit

from ...errors import TargetError
from ...probe import receipt, system
from ...probe.audit.files import text_of
from ...probe.box import Box, mounts
from ...runtime.files import read_json
from ...runtime.process import network_env
from ...runtime.transfer.errors import shown
from ..command import Host
from . import apt, dnf, files, keyring

# What a mirror stands for is what comes before this (contract of nvidia_repository_mirror).
_LAYOUT = "/compute/cuda/repos/"


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"changed", "files": [path], "uses": path or null}` for `{"name", "arch", "url", "keyring": {"url",
    "sha256"}, "fingerprint", "mirror"?, "driver"?, "network", "look"?, "check"?}`.

    `files` are ours; `uses` is the file of somebody else's that names the repository already, and is used.
    `network` are settings, or the path of network.json; with `look` nothing is done but said what would be
    there. Raises TargetError.
    """
    network = request.get("network") or {}
    if isinstance(network, str):
        network = read_json(network) or {}
    return set_up(Host(), request, network_env(network, os.environ))


def set_up(
    host: Host, request: Mapping[str, Any], env: Mapping[str, str], get: Any = keyring.fetched
) -> Dict[str, Any]:
    """The same, on a host; `get` fetches a key."""
    look, check = bool(request.get("look")), bool(request.get("check"))
    manager: Any = apt
    wanted, mine, uses = None, [], None
    if request.get("name"):
        wanted = _wanted(host.box, request)
        manager = _manager(host)
        mine, uses = manager.ours(host, wanted), manager.somebodys(host, wanted.url)
    if look:
        return {"changed": False, "files": mine, "uses": uses}
    found: List[files.File] = manager.set_up(host, wanted, env, check, get) if wanted else []
    surplus = files.there(host.box, [path for path in (*apt.FILES, *dnf.FILES) if path not in mine])
    if not check:
        # A source is the last to come and the first to go: none stands there without its key and its bounds.
        for path in sorted(surplus, key=_is_key):
            receipt.remove(host.box.path(path))
        for file in sorted(found, key=lambda file: not _is_key(file.path)):
            files.write(host.box, file)
    return {"changed": bool(found or surplus), "files": mine, "uses": uses}


def _is_key(path: str) -> bool:
    return path not in (apt.SOURCES, dnf.REPO)


def _manager(host: Host) -> Any:
    if host.tool("apt-get"):
        return apt
    if host.tool("dnf"):
        return dnf
    raise TargetError(
        "neither apt nor dnf is here, so no repository can be used",
        "leave the driver and the toolkit to yourself (`--set nvidia_driver_branch=keep`, "
        "`--set cuda_toolkit_version=none`)",
    )


def _wanted(box: Box, request: Mapping[str, Any]) -> apt.Wanted:
    """What is asked for, checked. Raises TargetError for what makes no sense."""
    name, arch, mirror = (str(request.get(key) or "") for key in ("name", "arch", "mirror"))
    key = request.get("keyring") or {}
    sha256, fingerprint = str(key.get("sha256") or ""), str(request.get("fingerprint") or "")
    if not sha256 and not fingerprint:
        raise TargetError(
            "nothing says whose key %s has to have" % name,
            "set nvidia_repository_fingerprint, or nvidia_repository_keyring_sha256",
        )
    url = _address("nvidia_repository_url", str(request.get("url") or ""), mirror)
    if not url.rstrip("/").endswith("/%s/%s" % (name, arch)):
        raise TargetError(
            "nvidia_repository_url is not of %s for %s: %s" % (name, arch, shown(url)),
            "correct nvidia_repository_url, nvidia_repository_name or nvidia_repository_arch",
        )
    address = _address("nvidia_repository_keyring_url", str(key.get("url") or ""), mirror)
    kernel = text_of(box, "/proc/sys/kernel/osrelease").strip()
    wsl = bool(system.wsl(box, kernel, system.find_container(box, mounts(box))))
    if wsl and not name.startswith("wsl-"):
        raise TargetError(
            "%s is no repository for WSL: its packages overwrite the driver that Windows provides" % name,
            "use wsl-ubuntu there",
        )
    driver = bool(request.get("driver"))
    if driver and (wsl or name.startswith("wsl-")):
        raise TargetError("in WSL the driver is Windows' own", "install NVIDIA's driver in Windows")
    wsl = wsl or name.startswith("wsl-")
    return apt.Wanted(url, keyring.Wanted(address, sha256, fingerprint), driver, wsl)


def _address(variable: str, url: str, mirror: str) -> str:
    """An address, at the mirror where one is named. Raises TargetError for what is none."""
    for name, text in ((variable, url), ("nvidia_repository_mirror", mirror or url)):
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or any(c in text for c in " \t\n\"'"):
            raise TargetError(
                "%s is no address: %.80s" % (name, text or "empty"), "give it as https://HOST/…"
            )
    if not mirror:
        return url
    _, found, rest = url.partition(_LAYOUT)
    if not found:
        raise TargetError(
            "%s has no %s in it, so no mirror can stand for the rest" % (variable, _LAYOUT),
            "leave nvidia_repository_mirror out, or name the repository as NVIDIA does",
        )
    return mirror.rstrip("/") + _LAYOUT + rest
