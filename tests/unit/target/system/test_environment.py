"""What is made of /etc/environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import environment

from .boxes import FakeBox

STANDARD = (
    "/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:"
    "/usr/games:/usr/local/games"
)
CUDA = {"CUDA_HOME": "/usr/local/cuda"}
BIN = ["/usr/local/cuda/bin"]
CASES = {
    "none yet": ("", f'PATH="{STANDARD}"\nCUDA_HOME="/usr/local/cuda"\n'),
    "Ubuntu's own": (
        'PATH="/usr/local/bin:/usr/bin:/snap/bin"\n',
        'PATH="/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/snap/bin"\nCUDA_HOME="/usr/local/cuda"\n',
    ),
    "all there": (
        "CUDA_HOME=/usr/local/cuda\nPATH=/usr/bin:/usr/local/cuda/bin:/opt/x\n",
        "CUDA_HOME=/usr/local/cuda\nPATH=/usr/bin:/usr/local/cuda/bin:/opt/x\n",
    ),
    "another toolkit": (
        "# ours\nCUDA_HOME='/opt/cuda' # old\nLANG=C\nPATH=/bin",
        '# ours\nCUDA_HOME="/usr/local/cuda"\nLANG=C\nPATH="/usr/local/cuda/bin:/bin"\n',
    ),
    "one that is commented out": (
        "#CUDA_HOME=/opt/cuda\n#PATH=/bin\nXPATH=/x\n",
        f'#CUDA_HOME=/opt/cuda\n#PATH=/bin\nXPATH=/x\nPATH="{STANDARD}"\nCUDA_HOME="/usr/local/cuda"\n',
    ),
    "the last of two": (
        "PATH=/bin\nPATH=/usr/bin\nCUDA_HOME=/usr/local/cuda\n",
        'PATH=/bin\nPATH="/usr/local/cuda/bin:/usr/bin"\nCUDA_HOME=/usr/local/cuda\n',
    ),
    "as some write it for shells": (
        "export PATH=/bin\r\nexport  CUDA_HOME = /usr/local/cuda\n",
        'export PATH="/usr/local/cuda/bin:/bin"\nexport  CUDA_HOME = /usr/local/cuda\n',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_others_wrote_stays(case: str) -> None:
    before, after = CASES[case]

    assert environment.edited(before, CUDA, BIN) == after
    assert environment.edited(after, CUDA, BIN) == after


def test_where_programs_are_in_the_path_already_it_is_left_alone() -> None:
    assert environment.edited("", {"CUDA_HOME": "/usr"}, []) == 'CUDA_HOME="/usr"\n'
    assert environment.edited("", {}, []) == ""


@pytest.mark.parametrize(
    "variables",
    [
        {"CUDA_HOME": "/a#b"},
        {"CUDA_HOME": 'a"b'},
        {"CUDA_HOME": "a\nB=c"},
        {"CUDA HOME": "/a"},
        {"PATH": "/a"},
    ],
)
def test_what_cannot_stand_there_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(TargetError) as refused:
        environment.edited("", variables, [])

    assert "cannot stand in /etc/environment" in refused.value.message


def test_a_path_over_two_lines_is_refused() -> None:
    with pytest.raises(TargetError) as refused:
        environment.edited("PATH=/bin:\\\n/usr/bin\n", CUDA, BIN)

    assert refused.value.message == "/etc/environment: PATH goes on in the next line"


def test_the_file_keeps_its_mode_and_bytes(tmp_path: Path) -> None:
    box = FakeBox(tmp_path)
    file = box.write("/etc/environment", "")
    file.write_bytes(b"NAME=\xff\n")
    file.chmod(0o600)

    assert environment.write(box.host, {"CUDA_HOME": "/usr"}, [], check=True)
    assert file.read_bytes() == b"NAME=\xff\n"
    assert environment.write(box.host, {"CUDA_HOME": "/usr"}, [])
    assert not environment.write(box.host, {"CUDA_HOME": "/usr"}, [])

    assert file.read_bytes() == b'NAME=\xff\nCUDA_HOME="/usr"\n'
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["environment"]


def test_one_that_is_not_there_is_made(tmp_path: Path) -> None:
    box = FakeBox(tmp_path, {"/etc/hostname": "box\n"})

    assert environment.write(box.host, {"CUDA_HOME": "/usr"}, [])

    assert box.read("/etc/environment") == 'CUDA_HOME="/usr"\n'
    assert box.path("/etc/environment").stat().st_mode & 0o777 == 0o644


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    box = FakeBox(tmp_path)
    box.path("/etc/environment").mkdir(parents=True)

    with pytest.raises(TargetError, match="environment: Is a directory"):
        environment.write(box.host, {"CUDA_HOME": "/usr"}, [])
