"""NVIDIA's package repositories: where each system's is, and whose key signs it. Data with its sources."""

from __future__ import annotations

from provisioner.compat.knowledge import read
from provisioner.sourced import Sourced


class RepositoryKey(Sourced, frozen=True):
    """A signing key. `weak`: bound by SHA-1 only, which verifiers of 2026 refuse."""

    key: str
    fingerprint: str
    weak: bool = False


class Repository(Sourced, frozen=True):
    """The repository for some systems on one architecture.

    `folder` is what NVIDIA calls the architecture, `url` the whole address, `keyring` the name of the file
    there that has the key, `sha256` its digest and `key` the key's name, each "" where it is not known.
    """

    systems: tuple[str, ...]
    arch: str
    name: str
    folder: str
    url: str
    keyring: str
    sha256: str
    key: str


def repositories() -> tuple[Repository, ...]:
    """Every repository that is known."""
    return read("repositories", Repository)


def repository_keys() -> tuple[RepositoryKey, ...]:
    """Every key that they are signed with."""
    return read("repository_keys", RepositoryKey)


def repository_for(system: str, arch: str) -> dict[str, str] | None:
    """The public variables of the role nvidia_repository for a system ("debian12") and architecture
    ("aarch64"); None where NVIDIA has no repository for it, or none whose key is known.
    """
    for one in repositories():
        if system in one.systems and arch == one.arch:
            fingerprints = {key.key: key.fingerprint for key in repository_keys()}
            return {
                "nvidia_repository_name": one.name,
                "nvidia_repository_arch": one.folder,
                "nvidia_repository_url": one.url,
                "nvidia_repository_keyring_url": one.url + one.keyring,
                "nvidia_repository_keyring_sha256": one.sha256,
                "nvidia_repository_fingerprint": fingerprints.get(one.key, ""),
            }
    return None
