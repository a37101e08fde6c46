from __future__ import annotations

import io
import tarfile

import pytest

from provisioner.target.system.repository import archive
from tests.lab.nvidia.deb import Deb
from tests.lab.nvidia.deb import archive as ar

PATH = "/usr/share/keyrings/cuda-archive-keyring.gpg"
DEB = Deb("cuda-keyring", "1.1-1", "all", files={PATH: b"key", "/etc/other": b"no"})


def everything(path: str) -> bool:
    return True


@pytest.mark.parametrize("compression", ["", ".gz", ".xz", ".bz2"])
def test_files_are_read_however_they_are_packed(compression: str) -> None:
    package = DEB.build(compression)
    assert archive.files(package, everything) == {PATH: b"key", "/etc/other": b"no"}
    assert archive.files(package, lambda path: path.startswith("/usr/")) == {PATH: b"key"}


def test_links_are_no_files() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        entry = tarfile.TarInfo("./usr/share/keyrings/a.gpg")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(entry)
    assert archive.files(ar({"data.tar": target.getvalue()}), everything) == {}


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (b"<html>", "it is no Debian package"),
        (ar({"debian-binary": b"2.0\n"}), "there is no data in it"),
        (DEB.build(".zst"), "zst is no compression that can be read here"),
        (ar({"data.tar.xz": b"never"}), "what is in it is damaged"),
        (ar({"data.tar": b"never" * 200}), "what is in it is damaged"),
    ],
)
def test_what_is_no_package_says_so(package: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        archive.files(package, everything)


def test_half_a_package_is_never_taken_for_a_whole_one() -> None:
    package = DEB.build()
    # What stands behind the data, NVIDIA's own signature, is not needed.
    until = package.index(b"_gpgbuilder")
    for length in range(until - 1):
        with pytest.raises(ValueError, match=r"no Debian package|breaks off|no data|damaged"):
            archive.files(package[:length], everything)


@pytest.mark.parametrize("compression", [".gz", ".xz", ".bz2"])
def test_one_that_unpacks_to_more_than_a_key_can_be_is_refused(
    compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LIMIT", 4096)
    with pytest.raises(ValueError, match="larger than the package of a key"):
        archive.files(Deb("bomb", "1", files={PATH: b"\0" * 100_000}).build(compression), everything)
