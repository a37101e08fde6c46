"""NVIDIA's repository among dnf's: a .repo file and the key that it names."""

from __future__ import annotations

import configparser
import os
import tempfile
from typing import Callable, List, Mapping, Optional

from ...errors import TargetError
from ...probe import driver_names
from ...probe.audit.files import names_in, text_of
from ...runtime.transfer.errors import shown
from ..command import ENVIRONMENT, Host, last_words
from . import keyring, openpgp, pins
from .apt import Wanted, same
from .files import File, differing, login_in

KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-provisioner-nvidia"
FOLDER = "/etc/yum.repos.d"
REPO = FOLDER + "/provisioner-nvidia.repo"
FILES = (KEY, REPO)
NAME = "provisioner-nvidia"
_MIRROR = "ask the mirror's keeper, or correct nvidia_repository_mirror"
# Those of the driver as rpm has them; the rest are called as in driver_names.GLOBS.
_RPM = ("kmod-nvidia*", "dnf-plugin-nvidia", "nvidia-libXNVCtrl*", "xorg-x11-nvidia*")


def somebodys(host: Host, url: str) -> Optional[str]:
    """The file in which somebody else named this repository; None in none."""
    for name in names_in(host.box, FOLDER):
        path = "%s/%s" % (FOLDER, name)
        if not name.endswith(".repo") or path == REPO:
            continue
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(text_of(host.box, path))
        except configparser.Error:
            continue  # dnf itself says what is wrong with it
        for section in parser.sections():
            on = parser.get(section, "enabled", fallback="1").strip().lower() not in (
                "0",
                "false",
                "no",
                "off",
            )
            if on and any(same(one, url) for one in parser.get(section, "baseurl", fallback="").split()):
                return path
    return None


def ours(host: Host, wanted: Wanted) -> List[str]:
    """Which of the files are to be there."""
    return list(FILES) if somebodys(host, wanted.url) is None else []


def set_up(
    host: Host, wanted: Wanted, env: Mapping[str, str], check: bool, get: Callable[..., bytes]
) -> List[File]:
    """What has to be written: the files that are not as they should be. Nothing is written here; what is
    fetched and tried is, unless in check mode. Raises TargetError.
    """
    if somebodys(host, wanted.url) is not None:
        return []
    there = _key_there(host, wanted.key)
    repo = File(REPO, text(wanted, KEY).encode(), 0o600 if login_in(wanted.url) else 0o644)
    if check:
        return differing(host.box, [File(KEY, there, 0o644), repo])
    key = there if there is not None else openpgp.armoured(get(wanted.key, env))
    found = differing(host.box, [File(KEY, key, 0o644), repo])
    if there is None or repo in found:
        _try(host, wanted, key, env)
    return found


def _key_there(host: Host, wanted: keyring.Wanted) -> Optional[bytes]:
    data = text_of(host.box, KEY).encode()
    return data if data and keyring.is_wanted(wanted, data) else None


def text(wanted: Wanted, key: str) -> str:
    """The .repo file. What would bring a driver along is left out unless the driver comes from here."""
    barred = pins.TRAPS if wanted.driver else pins.TRAPS + driver_names.GLOBS + _RPM
    return (
        "# Written by provision; changes are overwritten.\n"
        "[%s]\nname=NVIDIA (provision)\nbaseurl=%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n"
        "gpgkey=file://%s\nexcludepkgs=%s\n" % (NAME, wanted.url, key, " ".join(barred))
    )


def _try(host: Host, wanted: Wanted, key: bytes, env: Mapping[str, str]) -> None:
    """Reads the repository's metadata by files of the same content elsewhere."""
    with tempfile.TemporaryDirectory(prefix="provision-dnf-") as folder:
        path = os.path.join(folder, "key.asc")
        with open(path, "wb") as out:
            out.write(key)
        with open(os.path.join(folder, "nvidia.repo"), "w", encoding="utf-8") as out_text:
            out_text.write(text(wanted, path))
        done = host.run(
            [
                "dnf",
                "-y",
                "-q",
                # What an earlier turn has read proves nothing; nor does a repository that dnf may leave out.
                "--refresh",
                "makecache",
                "--setopt=reposdir=" + folder,
                "--setopt=%s.skip_if_unavailable=0" % NAME,
                "--repo=" + NAME,
                "--setopt=timeout=30",
            ],
            {**env, **ENVIRONMENT},
        )
    if done.rc == 0:
        return
    where, said = shown(wanted.url), done.text()
    if "signature" in said or "GPG" in said or "OpenPGP" in said:
        raise TargetError(
            "%s: its index is not signed by NVIDIA's key" % where, _MIRROR + "; do not trust it unsigned"
        )
    if "404" in said:
        raise TargetError(
            "%s: there is no repository (404)" % where, "correct nvidia_repository_mirror, or leave it out"
        )
    raise TargetError("%s: dnf cannot use it: %s" % (where, last_words(done.lines)), _MIRROR)
