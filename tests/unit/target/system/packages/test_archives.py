"""Archives of installed packages, with the real dpkg-deb where there is one and an emulated apt-get."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe.box import Box
from provisioner.target.runtime.process import Done
from provisioner.target.system.packages import archives, repack
from provisioner.target.system.packages.base import Package

PACKAGE = Package("1:2-3", "all")
FILE = "small_1%3a2-3_all.deb"
STANZA = b"""Package: small
Status: install ok installed
Installed-Size: 4
Maintainer: nobody <nobody@localhost>
Architecture: all
Version: 1:2-3
Config-Version: 1
Conffiles:
 /etc/small.conf 0123456789abcdef
 /etc/gone.conf 0123456789abcdef obsolete
Description: small
 and more of it
"""

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="dpkg-deb makes archives, and is not here"
)


class Tool:
    """dpkg-deb is real; what `apt-get download` brings is up to the test."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.brings: Callable[[Path], int] | None = None

    def __call__(self, argv: Sequence[str], cwd: str | None = None, shown: bool = True) -> Done:
        self.asked.append(argv[0])
        if argv[0] == "apt-get":
            if self.brings is None:
                return Done(100, ["E: Can't find a source to download version"])
            assert cwd is not None
            self.brings(Path(cwd))
            return Done(0, [])
        done = subprocess.run(list(argv), cwd=cwd, capture_output=True, text=True, check=False)
        return Done(done.returncode, (done.stdout + done.stderr).splitlines())


@pytest.fixture
def tool() -> Tool:
    return Tool()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A machine on which `small` is installed: a configuration file that was edited, a diverted program."""
    root = tmp_path / "root"
    for path, text in {
        "/etc/small.conf": "edited\n",
        "/usr/bin/small.distrib": "#!/bin/sh\n",
        "/usr/bin/small": "somebody else's\n",
        "/var/lib/dpkg/info/small.list": (
            "/.\n/etc\n/etc/small.conf\n/usr\n/usr/bin\n/usr/bin/small\n/usr/bin/link\n/usr/share/doc/small/left-out\n"
        ),
        "/var/lib/dpkg/info/small.postinst": "#!/bin/sh\ntrue\n",
        "/var/lib/dpkg/info/small.md5sums": "made by dpkg\n",
        "/var/lib/dpkg/info/small.conffiles": "/etc/small.conf\n",
        "/var/lib/dpkg/info/small-other.postinst": "#!/bin/sh\nfalse\n",
        "/var/lib/dpkg/diversions": "/usr/bin/small\n/usr/bin/small.distrib\nanother\n",
        "/var/cache/apt/archives/partial/x": "",
    }.items():
        target = root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (root / "usr/bin/link").symlink_to("small")
    (root / "usr/bin/small.distrib").chmod(0o755)
    (root / "var/lib/dpkg/info/small.postinst").chmod(0o755)
    (root / "var/lib/dpkg/status").write_bytes(b"Package: dpkg\nStatus: install ok installed\n\n" + STANZA)
    return Box(str(root))


def packed(tool: Tool, box: Box, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder / archives.save(tool, box, "small", PACKAGE, str(folder))


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_what_no_source_has_any_more_is_packed_again_as_it_is(tool: Tool, box: Box, tmp_path: Path) -> None:
    archive = packed(tool, box, tmp_path / "archives")
    assert archive.name == FILE
    assert [path.name for path in archive.parent.iterdir()] == [FILE]
    tree = tmp_path / "tree"
    said("dpkg-deb", "--raw-extract", str(archive), str(tree))
    found = {
        str(path.relative_to(tree)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in tree.rglob("*")
        if path.is_symlink() or path.is_file()
    }
    assert found == {
        "DEBIAN/control": (
            "Package: small\nInstalled-Size: 4\nMaintainer: nobody <nobody@localhost>\nArchitecture: all\n"
            "Version: 1:2-3\nDescription: small\n and more of it\n"
        ),
        "DEBIAN/conffiles": "/etc/small.conf\n",
        "DEBIAN/postinst": "#!/bin/sh\ntrue\n",
        "etc/small.conf": "edited\n",
        "usr/bin/small": "#!/bin/sh\n",
        "usr/bin/link": "small",
    }
    assert (tree / "usr/bin/small").stat().st_mode & 0o777 == 0o755
    assert (tree / "DEBIAN/postinst").stat().st_mode & 0o777 == 0o755


def test_apts_cache_comes_first_and_then_its_sources(tool: Tool, box: Box, tmp_path: Path) -> None:
    made = packed(tool, box, tmp_path / "made")
    cached = Path(box.path(archives.CACHE)) / FILE
    shutil.copy(made, cached)
    tool.asked.clear()
    assert packed(tool, box, tmp_path / "one").read_bytes() == made.read_bytes()
    assert "apt-get" not in tool.asked

    cached.write_bytes(made.read_bytes()[:-20])
    tool.brings = lambda folder: (folder / "small_brought.deb").write_bytes(made.read_bytes())
    assert packed(tool, box, tmp_path / "two").read_bytes() == made.read_bytes()
    assert "apt-get" in tool.asked

    tool.asked.clear()
    packed(tool, box, tmp_path / "two")
    assert "apt-get" not in tool.asked


def test_another_version_is_no_copy_of_this_one(tool: Tool, box: Box, tmp_path: Path) -> None:
    made = packed(tool, box, tmp_path / "made")
    assert archives.is_of(tool, str(made), "small", PACKAGE)
    assert not archives.is_of(tool, str(made), "small", PACKAGE._replace(version="1:2-4"))
    assert not archives.is_of(tool, str(made), "other", PACKAGE)


def test_what_cannot_be_saved_is_named_and_leaves_nothing(tool: Tool, box: Box, tmp_path: Path) -> None:
    Path(box.path("/var/lib/dpkg/info/small.list")).unlink()
    folder = tmp_path / "archives"
    with pytest.raises(TargetError) as refusal:
        packed(tool, box, folder)
    assert refusal.value.message.startswith("small 1:2-3 would be replaced, and no copy of it can be saved")
    assert list(folder.iterdir()) == []


def test_diversions_of_others_move_a_packages_files() -> None:
    text = "/a\n/a.distrib\nother\n/b\n/b.mine\nsmall\n"
    assert repack.diverted(text, "small") == {"/a": "/a.distrib"}
