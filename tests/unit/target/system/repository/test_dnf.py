"""The repository among dnf's; dnf is emulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import driver_names
from provisioner.target.system.repository import dnf, pins
from provisioner.target.system.repository.openpgp import armoured, keys

from .keyrings import ARMOURED, FINGERPRINT
from .managed import BASE, KEY, AptBox

RHEL_URL = f"{BASE}/rhel9/sbsa/"
RHEL = {
    "name": "rhel9",
    "arch": "sbsa",
    "url": RHEL_URL,
    "keyring": {"url": f"{RHEL_URL}D42D0685.pub", "sha256": ""},
}


@pytest.fixture
def rhel(tmp_path: Path) -> AptBox:
    return AptBox(tmp_path, "dnf")


def test_dnf_gets_a_repo_file_and_an_armoured_key(rhel: AptBox) -> None:
    assert rhel.up(**RHEL) == {"changed": True, "files": list(dnf.FILES), "uses": None}
    assert rhel.path(dnf.KEY).read_bytes() == ARMOURED == armoured(KEY)
    barred = " ".join((*pins.TRAPS, *driver_names.GLOBS, *dnf._RPM))
    assert (
        rhel.read(dnf.REPO)
        == f"""\
# Written by provision; changes are overwritten.
[provisioner-nvidia]
name=NVIDIA (provision)
baseurl={RHEL_URL}
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-provisioner-nvidia
excludepkgs={barred}
"""
    )
    assert [key.fingerprint for key in keys(rhel.tried[0][1])] == [FINGERPRINT]
    rhel.got.clear()
    assert rhel.up(**RHEL)["changed"] is False
    assert (rhel.got, len(rhel.tried)) == ([], 1)
    rhel.up(**RHEL, driver=True)
    assert rhel.read(dnf.REPO).endswith(f"excludepkgs={' '.join(pins.TRAPS)}\n")


@pytest.mark.parametrize(("enabled", "ours"), [("enabled=1", False), ("enabled=0", True), ("", False)])
def test_somebodys_own_repo_file_is_used(rhel: AptBox, enabled: str, ours: bool) -> None:
    rhel.write("/etc/yum.repos.d/broken.repo", "no section\n")
    rhel.write("/etc/yum.repos.d/cuda-rhel9.repo", f"[cuda]\nbaseurl={RHEL_URL.rstrip('/')}\n{enabled}\n")
    answer = rhel.up(**RHEL)
    assert bool(answer["files"]) == ours
    assert answer["uses"] == (None if ours else "/etc/yum.repos.d/cuda-rhel9.repo")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (
            "Error: repomd.xml GPG signature verification error: Bad GPG signature",
            "its index is not signed by NVIDIA's key",
        ),
        ("Status code: 404 for http://h/repodata/repomd.xml", "there is no repository (404)"),
        ("Error: the sky is blue", "dnf cannot use it: Error: the sky is blue"),
    ],
)
def test_what_dnf_cannot_use_is_named_and_leaves_nothing(rhel: AptBox, said: str, means: str) -> None:
    rhel.answer = (1, [said])
    with pytest.raises(TargetError) as caught:
        rhel.up(**RHEL)
    assert caught.value.message == f"{RHEL_URL}: {means}"
    assert rhel.ours() == {}
