"""A box with a package manager, whose answers are chosen; servers of keys are emulated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from provisioner.target.system.repository import apt, dnf, keyring, set_up
from provisioner.target.system.repository.openpgp import dearmoured

from ..boxes import FakeBox  # noqa: TID252
from .keyrings import ARMOURED, FINGERPRINT

KEY = dearmoured(ARMOURED)
BASE = "https://nvidia.invalid/compute/cuda/repos"
URL = f"{BASE}/debian12/x86_64/"
LISTS = "/var/lib/apt/lists/nvidia.invalid_compute_cuda_repos_debian12_x86%5f64_"
REQUEST: dict[str, Any] = {
    "name": "debian12",
    "arch": "x86_64",
    "url": URL,
    "keyring": {"url": f"{URL}cuda-keyring_1.1-1_all.deb", "sha256": "a" * 64},
    "fingerprint": FINGERPRINT,
}
SOURCE = f"""\
# Written by provision; changes are overwritten. NVIDIA's key: {FINGERPRINT}
Types: deb
URIs: {URL}
Suites: /
Signed-By: /etc/apt/keyrings/provisioner-nvidia.gpg
"""
CUDA_LIST = "/etc/apt/sources.list.d/cuda-debian12-x86_64.list"
THEIRS = f"deb [signed-by=/usr/share/keyrings/cuda-archive-keyring.gpg] {URL} /\n"


class AptBox(FakeBox):
    """A box with apt, whose answer is chosen; `tried` is the source it was told of, and the key beside."""

    def __init__(self, root: Path, manager: str = "apt-get") -> None:
        super().__init__(root)
        self.answer: tuple[int, list[str]] = (0, [])
        self.tried: list[tuple[str, bytes]] = []
        self.got: list[keyring.Wanted] = []
        self.key = KEY
        self.program(manager, self.apt if manager == "apt-get" else self.dnf)

    def apt(self, *argv: str) -> tuple[int, list[str]]:
        options = dict(word.split("=", 1) for word in argv if "=" in word)
        file = options["Dir::Etc::SourceList"]
        assert list(Path(options["Dir::Etc::SourceParts"]).iterdir()) == []
        path = Path(file) if file.startswith("/tmp") else self.path(file)
        if path != self.path(file):
            # Whoever may look below /tmp is not to read the login in an address.
            assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        signed = re.search(r"Signed-By: (\S+)", text)
        self.tried.append((text, Path(signed[1]).read_bytes() if signed else b""))
        if self.answer[0] == 0:
            self.write(f"{LISTS}Packages", "")
        return self.answer

    def dnf(self, *argv: str) -> tuple[int, list[str]]:
        folder = next(word.split("=")[2] for word in argv if word.startswith("--setopt=reposdir="))
        text = (Path(folder) / "nvidia.repo").read_text()
        self.tried.append((text, Path(re.search(r"gpgkey=file://(\S+)", text)[1]).read_bytes()))  # type: ignore[index]
        return self.answer

    def get(self, wanted: keyring.Wanted, env: object) -> bytes:
        self.got.append(wanted)
        return self.key

    def up(self, **changes: Any) -> dict[str, Any]:
        return set_up(self.host, {**REQUEST, **changes}, {"HOME": "/root"}, self.get)

    def ours(self) -> dict[str, int]:
        paths = [path for path in (*apt.FILES, *dnf.FILES) if self.path(path).exists()]
        return {path: self.path(path).stat().st_mode & 0o777 for path in paths}
