"""The emulated repositories themselves: whole, signed, and closed under their dependencies."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator

import pytest

from provisioner.compat import knowledge
from provisioner.target.system.repository import archive
from tests.lab.nvidia.deb import Deb
from tests.lab.nvidia.repository import Emulated, emulate
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import packages, systems

SYSTEMS = sorted(systems())
# What the Debian release below gives.
OF_DEBIAN = {"build-essential", "dkms", "libtinfo5"}


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not here, which signs the emulated repositories")
    key = SigningKey.make(tmp_path_factory.mktemp("gpg") / "home")
    yield emulate(key)
    key.close()


def everything(name: str) -> list[Deb]:
    system = systems()[name]
    return [*packages(system, system.nvidia), *packages(system, system.archive)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_dependency_is_there(name: str) -> None:
    there = {deb.name for deb in everything(name)} | OF_DEBIAN
    needed = {
        re.sub(r" \(.*", "", one.strip())
        for deb in everything(name)
        for one in deb.fields.get("Depends", "").split(",")
        if one.strip()
    }
    assert needed - there == set()


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_package_is_there_twice(name: str) -> None:
    system = systems()[name]
    for sets in (system.nvidia, system.archive):
        known = [(deb.name, deb.version) for deb in packages(system, sets)]
        assert sorted(set(known)) == sorted(known)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if "wsl" not in name])
def test_what_the_plan_asks_for_is_there(name: str) -> None:
    """Names in driver_routes and toolkit_routes and those here are the same, for CUDA 12.4 and branch 580."""
    there = {deb.name for deb in everything(name)}
    asked = set()
    for route in knowledge.toolkit_routes():
        if name in route.systems and route.route == "nvidia-repository" and "12.4" in route.cuda:
            asked |= {one.replace("{cuda-}", "12-4") for one in route.packages}
    for driver in knowledge.driver_routes():
        if name in driver.systems and driver.route in ("nvidia-repository", "ubuntu-prebuilt"):
            branch = 580 if 580 in driver.branches else 570
            flavour = "-open" if "open" in driver.flavours else ""
            asked |= {
                one.replace("{branch}", str(branch)).replace("{-open}", flavour) for one in driver.packages
            }
    assert asked - there == set()


def test_an_index_says_what_its_files_are(emulated: Emulated) -> None:
    for path, content in emulated.files.items():
        if not path.endswith("/Packages"):
            continue
        folder = path.removesuffix("Packages")
        release = emulated.files[f"{folder}Release"].decode()
        assert hashlib.sha256(content).hexdigest() in release
        assert release in emulated.files[f"{folder}InRelease"].decode().replace("\r", "")
        stanzas = content.decode().split("\n\n")
        for stanza in stanzas:
            fields = dict(line.split(": ", 1) for line in stanza.strip().splitlines())
            deb = emulated.files[folder + fields["Filename"].removeprefix("./")]
            assert hashlib.sha256(deb).hexdigest() == fields["SHA256"]
            assert archive.files(deb, lambda path: path.endswith("/copyright"))


def test_a_keyring_holds_the_key_that_signs(emulated: Emulated) -> None:
    for name, variables in emulated.variables.items():
        path = "/compute" + variables["nvidia_repository_keyring_url"].partition("/compute")[2]
        content = emulated.files[path]
        assert hashlib.sha256(content).hexdigest() == variables["nvidia_repository_keyring_sha256"], name
        (key,) = archive.files(content, lambda path: path.endswith(".gpg")).values()
        assert key == emulated.key.public
