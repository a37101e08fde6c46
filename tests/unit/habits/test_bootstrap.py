"""bootstrap.sh with a stand-in for uv: what it prepares, when, and what it never trusts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.habits.tree import ROOT

UV = """#!/bin/sh
case "$1 $2" in
  "--version "*) echo "uv 99.0.0"; exit 0 ;;
  "venv "*) for last; do :; done; mkdir -p "$last/bin"; ln -sf "$PYTHON" "$last/bin/python" ;;
  "pip sync") [ ! -e "$FAIL" ] || { echo "no network" >&2; exit 2; } ;;
  "pip install") printf '#!/bin/sh\\necho "provision $*"\\n' >"$VIRTUAL_ENV/bin/provision"
                 chmod +x "$VIRTUAL_ENV/bin/provision" ;;
esac
echo "uv $*" >>"$CALLS"
"""


class Checkout:
    """A copy of what bootstrap.sh reads, and a PATH on which uv is a stand-in."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.calls_file = folder / "calls"
        self.fail = folder / "fail"
        (self.root / "provisioner/target").mkdir(parents=True)
        (self.root / "tests").mkdir()
        shutil.copytree(ROOT / "requirements", self.root / "requirements")
        for name in ("bootstrap.sh", "pyproject.toml", "provisioner/target/get_uv.py"):
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "tests/tiers.py").write_text(
            "import sys; print('tiers', *sys.argv[1:])", encoding="utf-8"
        )
        tools = folder / "bin"
        tools.mkdir()
        (tools / "uv").write_text(UV, encoding="utf-8")
        (tools / "uv").chmod(0o755)
        (tools / "python3").symlink_to(sys.executable)
        self.env = {
            "PATH": f"{tools}:/usr/bin:/bin", "HOME": str(folder / "home"), "PYTHON": sys.executable,
            "CALLS": str(self.calls_file), "FAIL": str(self.fail),
        }  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "bootstrap.sh"), *arguments],
            env=self.env, cwd="/", check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    @property
    def calls(self) -> list[str]:
        """What uv was asked for, without the paths."""
        if not self.calls_file.exists():
            return []
        lines = self.calls_file.read_text(encoding="utf-8").splitlines()
        self.calls_file.unlink()
        return [line.replace(str(self.root), "ROOT") for line in lines]


def made(kind: str) -> list[str]:
    return [
        "uv venv -q --clear --python >=3.11,<3.14 --python-preference system ROOT/.venv",
        f"uv pip sync -q --require-hashes ROOT/requirements/{kind}.txt",
        "uv pip install -q --offline --no-deps --no-build-isolation --editable ROOT",
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_call_prepares_and_the_second_does_not(checkout: Checkout) -> None:
    first = checkout.run("up", "--host", "gpu box")
    assert (first.returncode, first.stdout) == (0, "provision up --host gpu box\n")
    assert checkout.calls == made("tool")
    second = checkout.run("facts")
    assert (second.returncode, second.stdout, second.stderr) == (0, "provision facts\n", "")
    assert checkout.calls == []


def test_the_first_call_says_what_it_does(checkout: Checkout) -> None:
    lines = checkout.run("up").stderr.splitlines()
    cost = "(once; about 60 MB, seconds on a fast line)"
    assert [line.split(" after ")[0] for line in lines] == [
        f"bootstrap: preparing the tool's own environment in {checkout.root}/.venv {cost}",
        "bootstrap: installing the locked packages (tool)",
        "bootstrap: ready",
    ]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_needs_no_environment(checkout: Checkout, arguments: list[str]) -> None:
    answer = checkout.run(*arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("Usage: ./bootstrap.sh VERB [OPTION...]     runs `provision VERB`")
    assert checkout.calls == []


def test_tests_get_a_contributors_environment_that_serves_provision_too(checkout: Checkout) -> None:
    checkout.run("up")
    assert checkout.calls == made("tool")
    tiers = checkout.run("test", "unit", "lint")
    assert (tiers.returncode, tiers.stdout) == (0, "tiers unit lint\n")
    assert checkout.calls == made("dev")
    checkout.run("up")
    assert checkout.calls == []


def change_lock(checkout: Checkout) -> None:
    with (checkout.root / "requirements/tool.txt").open("a", encoding="utf-8") as lock:
        lock.write("# changed\n")


def lose_interpreter(checkout: Checkout) -> None:
    (checkout.root / ".venv/bin/python").unlink()


def cut_stamp(checkout: Checkout) -> None:
    (checkout.root / ".venv/.provision-stamp").write_text("tool", encoding="utf-8")


def move(checkout: Checkout) -> None:
    """Programs in an environment name its folder."""
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))


@pytest.mark.parametrize("spoil", [change_lock, lose_interpreter, cut_stamp, move])
def test_a_spoilt_environment_is_made_anew(checkout: Checkout, spoil: Callable[[Checkout], None]) -> None:
    checkout.run("up")
    assert checkout.calls == made("tool")
    spoil(checkout)
    assert checkout.run("up").stdout == "provision up\n"
    assert checkout.calls == made("tool")


def test_a_half_made_environment_is_never_trusted(checkout: Checkout) -> None:
    checkout.fail.touch()
    failed = checkout.run("up")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.splitlines()[-3:] == [
        "no network",
        "bootstrap: the locked packages could not be installed",
        "  check the network, https_proxy, PIP_INDEX_URL and SSL_CERT_FILE, then start again",
    ]
    checkout.fail.unlink()
    assert checkout.calls == made("tool")[:1]
    assert checkout.run("up").stdout == "provision up\n"
    assert checkout.calls == made("tool")


def test_two_first_calls_prepare_once(checkout: Checkout) -> None:
    command = [str(checkout.root / "bootstrap.sh"), "up"]
    both = [
        subprocess.Popen(
            command, env=checkout.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in both] == ["provision up\n"] * 2
    assert checkout.calls == made("tool")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_someone_elses_checkout_stays_as_it_is(checkout: Checkout) -> None:
    before = sorted(checkout.root.rglob("*"))
    os.chown(checkout.root, 65534, 65534)
    assert checkout.run("up").stdout == "provision up\n"
    assert sorted(checkout.root.rglob("*")) == before
    stamps = list(Path(checkout.env["HOME"]).glob(".cache/provisioner/bootstrap-*/venv/.provision-stamp"))
    assert len(stamps) == 1


def in_wsl(checkout: Checkout, tmp_path: Path, *, type_of_disk: str) -> None:
    """Emulated: `uname` and `df` are stand-ins, and what is made says which PATH it got."""
    tools = tmp_path / "bin"
    for name, text in (
        ("uname", "echo 6.6.87.2-microsoft-standard-WSL2"),
        ("df", f'case "$*" in *checkout*) echo Type; echo {type_of_disk} ;; *) echo ext4 ;; esac'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    (tools / "uv").write_text(UV.replace("provision $*", "provision $* PATH=$PATH"), encoding="utf-8")


SLOW = (
    "this checkout lies on a disk of Windows, which is slow: clone it below your Linux home for faster starts"
)


@pytest.mark.parametrize("type_of_disk", ["9p", "drvfs", "virtiofs"])
def test_on_a_disk_of_windows_the_environment_goes_to_the_cache_emulated(
    checkout: Checkout, tmp_path: Path, type_of_disk: str
) -> None:
    in_wsl(checkout, tmp_path, type_of_disk=type_of_disk)
    before = sorted(checkout.root.rglob("*"))
    first = checkout.run("up")
    assert first.stdout.startswith("provision up PATH=")
    assert sorted(checkout.root.rglob("*")) == before
    (stamp,) = Path(checkout.env["HOME"]).glob(".cache/provisioner/bootstrap-*/venv/.provision-stamp")
    assert [line.split(" (once")[0] for line in first.stderr.splitlines()[:2]] == [
        f"bootstrap: {SLOW}",
        f"bootstrap: preparing the tool's own environment in {stamp.parent}",
    ]
    assert checkout.run("up").stderr == ""


def test_on_a_disk_of_wsl_it_stays_in_the_checkout_emulated(checkout: Checkout, tmp_path: Path) -> None:
    in_wsl(checkout, tmp_path, type_of_disk="ext4")
    assert "Windows" not in checkout.run("up").stderr
    assert (checkout.root / ".venv/.provision-stamp").exists()


def test_the_path_of_windows_is_left_out_emulated(checkout: Checkout, tmp_path: Path) -> None:
    own = checkout.env["PATH"]
    checkout.env["PATH"] = f"/mnt/c/Program Files/Python312:{own}:/mnt/d/*:/mnt/wslg/bin"
    in_wsl(checkout, tmp_path, type_of_disk="ext4")
    assert checkout.run("up").stdout == f"provision up PATH={own}:/mnt/wslg/bin\n"


def test_elsewhere_a_folder_called_like_windows_disk_is_anybodys(checkout: Checkout, tmp_path: Path) -> None:
    checkout.env["PATH"] += ":/mnt/c/tools"
    (tmp_path / "bin/uv").write_text(UV.replace("provision $*", "provision $* PATH=$PATH"), encoding="utf-8")
    assert checkout.run("up").stdout == f"provision up PATH={checkout.env['PATH']}\n"


def test_without_python_the_way_to_it_is_named(checkout: Checkout, tmp_path: Path) -> None:
    tools = tmp_path / "no python"
    tools.mkdir()
    for name in ("bash", "sh", "sha256sum", "cut", "readlink", "mkdir", "head", "flock", "id", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    checkout.env["PATH"] = str(tools)
    answer = checkout.run("up")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-2:] == [
        "bootstrap: python3 is missing",
        "  run: sudo apt-get install python3",
    ]
