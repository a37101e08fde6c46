"""What is written for GRUB, and how files are written; boot loaders as a whole are in test_boot.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import loaders
from provisioner.target.system.loaders import HEAD, Grub, Line, put

from .boxes import FakeBox
from .grubs import GrubBox

BODY = """cat <<'EOF'
if [ "${provisioner_try}" = "1" ]; then
  set provisioner_try=0
  save_env provisioner_try
  set provisioner_options="iommu=pt panic=30"
else
  set provisioner_options=
fi
export provisioner_options
EOF
"""


def test_the_script_before_the_menu() -> None:
    assert loaders.script(["iommu=pt"]) == "#!/bin/sh\n" + HEAD + BODY
    assert 'set provisioner_options="panic=5 iommu=pt"\n' in loaders.script(["panic=5", "iommu=pt"])


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (Line([], []), ""),
        (Line(["a"], []), 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT a"\n'),
        (
            Line(["a", "b=1"], ["c"]),
            'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT a b=1 \\${provisioner_options}"\n',
        ),
    ],
)
def test_the_line_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: Line, text: str
) -> None:
    monkeypatch.setattr("os.sync", lambda: None)
    assert loaders.assignment(line) == text
    loader = Grub(GrubBox(tmp_path).box.host, "/state")
    loader.set(line)
    assert loader.line() == line


def test_a_file_is_written_whole_and_once(tmp_path: Path) -> None:
    box = FakeBox(tmp_path)
    path = "/etc/new/file"
    steps = [put(box.host, path, "a\n"), put(box.host, path, "a\n"), put(box.host, path, "a\n", 0o755)]
    assert steps == [True, False, True]
    assert (box.read(path), box.path(path).stat().st_mode & 0o777) == ("a\n", 0o755)
    assert [one.name for one in box.path("/etc/new").iterdir()] == ["file"]
    assert [put(box.host, path, ""), put(box.host, path, "")] == [True, False]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    box = FakeBox(tmp_path, {"/etc/new": "a file"})
    with pytest.raises(TargetError, match="cannot write /etc/new/file: "):
        put(box.host, "/etc/new/file", "a\n")


def test_a_device_that_grub_does_not_know(tmp_path: Path) -> None:
    grub = GrubBox(tmp_path)
    grub.box.program("grub-probe", lambda *_: (1, ["grub-probe: error: cannot find a device"]))
    assert Grub(grub.box.host, "/s").cannot_try() == "grub-probe does not know what /boot/grub lies on"
    grub.box.path("/usr/sbin/grub-probe").unlink()
    assert Grub(grub.box.host, "/s").cannot_try() == "grub-probe or grub-editenv is not on this box"
