"""Flat apt repositories as NVIDIA lays them out, in memory: path to bytes, fit to be served."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

from provisioner.compat.repositories import repository_for
from tests.lab.nvidia.deb import Deb
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import System, packages, systems

KEYRING = "cuda-keyring_1.1-1_all.deb"
_PIN = b"Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: 600\n"
_LAYOUT = "/compute/cuda/repos/"


@dataclass(frozen=True)
class Emulated:
    """What a server has: `files` by path; of each system the variables that name its repository."""

    key: SigningKey
    files: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)


def emulate(key: SigningKey, wanted: Iterable[str] = ()) -> Emulated:
    """The repositories of the systems, or of all that are known. Their addresses are still NVIDIA's own: a
    mirror is named to reach them.
    """
    found = Emulated(key)
    for name in wanted or systems():
        system = systems()[name]
        known = repository_for(name, "x86_64")
        assert known is not None, name
        path = _LAYOUT + known["nvidia_repository_url"].partition(_LAYOUT)[2]
        keyring = keyring_package(key.public, known["nvidia_repository_name"])
        held = {**flat(packages(system, system.nvidia), key, "NVIDIA CUDA"), KEYRING: keyring}
        found.files.update({path + file: content for file, content in held.items()})
        found.files.update(
            {archive_path(system) + file: content for file, content in _archive(system, key).items()}
        )
        found.variables[name] = {
            **known,
            "nvidia_repository_keyring_sha256": hashlib.sha256(keyring).hexdigest(),
            "nvidia_repository_fingerprint": key.fingerprint,
        }
    return found


def archive_path(system: System) -> str:
    """Where the emulated archive of a system's own is."""
    return f"/archive/{system.name}/"


def keyring_package(keyring: bytes, name: str) -> bytes:
    """NVIDIA's package of the key, which also brings a source and a preference; neither must be used."""
    files = {
        "/etc/apt/preferences.d/cuda-repository-pin-600": _PIN,
        f"/etc/apt/sources.list.d/cuda-{name}-x86_64.list": b"deb https://example.invalid/ /\n",
        "/usr/share/keyrings/cuda-archive-keyring.gpg": keyring,
    }
    return Deb("cuda-keyring", "1.1-1", "all", files=files).build()


def _archive(system: System, key: SigningKey) -> Mapping[str, bytes]:
    if not system.archive:
        return {}
    return flat(packages(system, system.archive), key, "Ubuntu" if system.os else "Debian")


def flat(debs: Iterable[Deb], key: SigningKey, label: str) -> dict[str, bytes]:
    """A repository in one folder: its packages, and Packages, Release and InRelease."""
    files: dict[str, bytes] = {}
    index = []
    for deb in debs:
        name, content = file_name(deb), deb.build(".gz")
        files[name] = content
        digest = hashlib.sha256(content).hexdigest()
        index.append(f"{deb.control}Filename: ./{name}\nSize: {len(content)}\nSHA256: {digest}\n")
    files["Packages"] = "\n".join(index).encode()
    files.update(signed(files["Packages"], key, label))
    return files


def file_name(deb: Deb) -> str:
    """What a package's archive is called."""
    return f"{deb.name}_{deb.version.replace(':', '%3a')}_{deb.arch}.deb"


def signed(index: bytes, key: SigningKey, label: str) -> dict[str, bytes]:
    """Release and InRelease for an index."""
    release = (
        f"Origin: {label.split()[0]}\nLabel: {label}\nArchitecture: x86_64\nDate: {formatdate(usegmt=True)}\n"
        f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\nAcquire-By-Hash: no\n"
    ).encode()
    return {"Release": release, "InRelease": key.clearsign(release)}
