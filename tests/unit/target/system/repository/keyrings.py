"""Keys that nobody uses, made by gpg, and a package of one as NVIDIA's is."""

from __future__ import annotations

from pathlib import Path

from tests.lab.nvidia.deb import Deb

_DATA = Path(__file__).parents[4] / "data/openpgp"
# As `gpg --list-keys --with-colons` says them.
FINGERPRINT = "067AEAF6483BDEBC16E7E8BD465BA9EB87E91891"
OTHER = "E142545CC63776B56C1BBD38B2AD030C5A9E347C"
ARMOURED = (_DATA / "emulated.asc").read_bytes()
OTHER_ARMOURED = (_DATA / "other.asc").read_bytes()
BOTH = (_DATA / "both.gpg").read_bytes()


def package(keyring: bytes, compression: str = ".xz") -> bytes:
    """cuda-keyring, with what NVIDIA's has in it."""
    files = {
        "/etc/apt/preferences.d/cuda-repository-pin-600": b"Package: *\nPin: release l=NVIDIA CUDA\n",
        "/etc/apt/sources.list.d/cuda-emulated.list": b"deb https://example.invalid/ /\n",
        "/usr/share/keyrings/cuda-archive-keyring.gpg": keyring,
    }
    return Deb("cuda-keyring", "1.1-1", "all", files=files).build(compression)
