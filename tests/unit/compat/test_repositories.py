from __future__ import annotations

import pytest

from provisioner.compat.knowledge import systems
from provisioner.compat.repositories import repositories, repository_for, repository_keys

BOOKWORM_KEYRING = "e7f219eab6fe4819cdb5c15b98233dc3420302d9c00883219cd3d896857cf48d"
CASES = [
    (system, one.arch)
    for one in repositories()
    for system in one.systems
]  # fmt: skip


def test_a_roles_variables_for_a_system() -> None:
    found = repository_for("debian12", "x86_64")
    assert found is not None
    url = found["nvidia_repository_url"]
    assert found == {
        "nvidia_repository_name": "debian12",
        "nvidia_repository_arch": "x86_64",
        "nvidia_repository_url": url,
        "nvidia_repository_keyring_url": f"{url}cuda-keyring_1.1-1_all.deb",
        "nvidia_repository_keyring_sha256": BOOKWORM_KEYRING,
        "nvidia_repository_fingerprint": "EB693B3035CD5710E231E123A4B469963BF863CC",
    }


@pytest.mark.parametrize(
    ("system", "arch"),
    [
        ("debian13", "aarch64"),
        ("el10", "x86_64"),
        ("wsl-ubuntu24.04", "aarch64"),
        ("macos14", "arm64"),
        ("", ""),
    ],
)
def test_where_there_is_none_nothing_is_made_up(system: str, arch: str) -> None:
    assert repository_for(system, arch) is None


@pytest.mark.parametrize(("system", "arch"), CASES)
def test_every_address_is_of_its_own_folder_and_something_says_that_it_is_nvidias(
    system: str, arch: str
) -> None:
    found = repository_for(system, arch)
    assert found is not None
    name, folder, url = (found[f"nvidia_repository_{word}"] for word in ("name", "arch", "url"))
    assert url.endswith(f"/repos/{name}/{folder}/")
    assert found["nvidia_repository_keyring_url"].startswith(url)
    assert found["nvidia_repository_keyring_sha256"] or found["nvidia_repository_fingerprint"]
    assert len(found["nvidia_repository_keyring_sha256"]) in (0, 64)
    assert len(found["nvidia_repository_fingerprint"]) in (0, 40)


def test_arm_servers_are_sbsa_and_never_aarch64() -> None:
    folders = {one.folder for one in repositories() if one.arch == "aarch64"}
    assert folders == {"sbsa"}
    assert {one.folder for one in repositories() if one.arch == "x86_64"} == {"x86_64"}


def test_the_keyring_is_1_1_as_1_0_is_gone_from_newer_repositories() -> None:
    debs = {one.keyring for one in repositories() if not one.name.startswith("rhel")}
    assert debs == {"cuda-keyring_1.1-1_all.deb"}


def test_windows_subsystem_has_a_repository_of_its_own() -> None:
    for system in systems():
        for arch in system.arches:
            found = repository_for(system.name, arch)
            assert found is None or system.wsl == (found["nvidia_repository_name"] == "wsl-ubuntu")


def test_debian_13_gets_no_key_that_its_verifier_refuses() -> None:
    weak = {one.fingerprint for one in repository_keys() if one.weak}
    found = repository_for("debian13", "x86_64")
    assert found is not None
    assert found["nvidia_repository_fingerprint"] not in weak
