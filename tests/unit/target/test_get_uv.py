"""get_uv against stand-ins for python's pip, apt-get and dpkg-deb that behave as on a bare Debian.

The stand-ins are shell scripts on a PATH of the test's own; the real ones are met in the lab tier.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from provisioner.target import get_uv as module
from provisioner.target.errors import TargetError
from provisioner.target.get_uv import get_uv, main, wanted_version

REQUIREMENT = "uv==0.9.2 \\\n    --hash=sha256:00\n"

# What PIP says: `works`, `absent`, or the words pip fails with. A pip on PYTHONPATH (Debian's) always works.
PYTHON = """#!/bin/sh
echo "python $*" >>"$CALLS"
case "$*" in
  *"-m venv"*) echo "Error: the ensurepip module is missing" >&2; exit 1 ;;
esac
[ "$PIP" != absent ] || [ -n "$PYTHONPATH" ] || { echo "No module named pip" >&2; exit 1; }
if [ -n "$SPLIT_DISTUTILS" ] && ! [ -e "$PYTHONPATH/distutils/command" ]; then
  echo "ModuleNotFoundError: No module named 'distutils.command'" >&2; exit 1
fi
case "$*" in
  *"download --help"*) exit 0 ;;
esac
case "$PIP" in
  works|absent) ;;
  *) echo "$PIP" >&2; echo "ERROR: No matching distribution found for uv==0.9.2" >&2; exit 1 ;;
esac
while [ "$1" != --dest ]; do shift; done
mkdir -p "$2" && cp "$WHEEL" "$2/"
"""

APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
[ "$APT" != offline ] || { echo "E: Could not resolve the mirror" >&2; exit 100; }
case "$*" in
  *" update") [ "$APT" != "a third party is gone" ] || { echo "E: no Release file" >&2; exit 100; } ;;
  *Dir::State::lists=*" download $APT_NAME") : >"$APT_NAME.deb" ;;
  *Dir::State::lists=*" download python3-distutils") : >python3-distutils.deb ;;
  *) echo "E: Unable to locate package" >&2; exit 100 ;;
esac
"""

DPKG = """#!/bin/sh
case "$2" in
  *python3-distutils.deb) mkdir -p "$3/usr/lib/$SPLIT_DISTUTILS/distutils/command"; exit 0 ;;
esac
mkdir -p "$3/usr/share/python-wheels" && cp "$PIP_WHEEL" "$3/usr/share/python-wheels/"
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def a_uv(version: str) -> str:
    return f"#!/bin/sh\necho 'uv {version} (x86_64-unknown-linux-gnu)'\n"


class Box:
    """A machine of stand-ins; `calls` lists what was started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dest = folder / "dest"
        self.bin = folder / "bin"
        self.log: list[str] = []
        self.python = script(folder / "python", PYTHON)
        self.wheel = folder / "uv-0.9.2-py3-none-any.whl"
        self.pack(a_uv("0.9.2"))
        pip_wheel = folder / "pip-1-py3-none-any.whl"
        with zipfile.ZipFile(pip_wheel, "w") as archive:
            archive.writestr("pip/__init__.py", "")
        self.bin.mkdir()
        self.env = {
            "PATH": f"{self.bin}:/usr/bin:/bin", "CALLS": str(folder / "calls"), "PIP": "works",
            "WHEEL": str(self.wheel), "PIP_WHEEL": str(pip_wheel), "APT": "works",
            "APT_NAME": "python3-pip-whl",
        }  # fmt: skip

    def pack(self, program: str, name: str = "uv-0.9.2.data/scripts/uv") -> None:
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr(name, program)

    def debian(self) -> None:
        script(self.bin / "apt-get", APT)
        script(self.bin / "dpkg-deb", DPKG)

    def get(self, requirement: str = REQUIREMENT, env: Mapping[str, str] | None = None) -> Path:
        return get_uv(self.dest, requirement, {**self.env, **(env or {})}, self.log.append)

    @property
    def calls(self) -> list[str]:
        path = Path(self.env["CALLS"])
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(tmp_path)
    monkeypatch.setattr(sys, "executable", str(made.python))
    return made


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("in_dest", "on_path", "expected", "fetched"),
    [
        (a_uv("0.9.2"), None, "dest/uv", False),
        (a_uv("0.10.0"), a_uv("0.11.0"), "dest/uv", False),
        (None, a_uv("0.9.2"), "bin/uv", False),
        (None, a_uv("0.9.11"), "bin/uv", False),
        (None, a_uv("0.9.1"), "dest/uv", True),
        (None, "#!/bin/sh\nexit 3\n", "dest/uv", True),
        (None, "#!/bin/sh\necho something else\n", "dest/uv", True),
        ("half a program", None, "dest/uv", True),
        (None, None, "dest/uv", True),
    ],
)
def test_a_uv_that_answers_is_kept(
    box: Box, in_dest: str | None, on_path: str | None, expected: str, fetched: bool
) -> None:
    if in_dest is not None:
        script(box.dest / "uv", in_dest)
    if on_path is not None:
        script(box.bin / "uv", on_path)
    assert box.get() == box.folder / expected
    assert bool(box.calls) == fetched
    assert left_in(box.dest) == (["uv"] if expected == "dest/uv" else [])
    assert box.log == (["getting uv with pip (25 MB)"] if fetched else [])


def test_pip_downloads_only_what_was_locked(box: Box) -> None:
    box.get()
    command = box.calls[-1].split()
    assert command[:8] == [
        "python", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
    ]  # fmt: skip
    assert command[8:10] == ["--require-hashes", "--dest"]


@pytest.mark.parametrize("name", ["python3-pip-whl", "python-pip-whl"])
@pytest.mark.parametrize("apt", ["works", "a third party is gone"])
def test_without_pip_and_venv_debian_lends_its_own(box: Box, name: str, apt: str) -> None:
    box.debian()
    assert box.get(env={"PIP": "absent", "APT_NAME": name, "APT": apt}) == box.dest / "uv"
    assert box.log == [
        "getting pip from the distribution's packages (2 MB, installs nothing)",
        "reading the distribution's package index into a private folder (some seconds)",
        "getting uv with Debian's pip (25 MB)",
    ]
    assert left_in(box.dest) == ["uv"]


def test_where_distutils_is_delivered_apart_both_halves_are_joined(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 11 and Ubuntu 20.04, whose pip needs it."""
    box.debian()
    (box.folder / "stdlib/distutils").mkdir(parents=True)
    monkeypatch.setattr(os, "__file__", str(box.folder / "stdlib/os.py"))
    version = "python{}.{}".format(*sys.version_info[:2])
    assert box.get(env={"PIP": "absent", "SPLIT_DISTUTILS": version}) == box.dest / "uv"


def test_apt_is_told_of_the_networks_certificates(box: Box) -> None:
    box.debian()
    box.get(env={"PIP": "absent", "SSL_CERT_FILE": "/bundle.pem"})
    apt = [call for call in box.calls if call.startswith("apt-get")]
    assert apt
    assert [call for call in apt if "Acquire::https::CaInfo=/bundle.pem" not in call] == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"PIP_CERT": None}),
        ({"SSL_CERT_FILE": "/a"}, {"PIP_CERT": "/a"}),
        ({"SSL_CERT_FILE": "/a", "PIP_CERT": "/b"}, {"PIP_CERT": "/b"}),
        ({"PIP_REQUIRE_VIRTUALENV": "1"}, {"PIP_REQUIRE_VIRTUALENV": None}),
        ({"PIP_INDEX_URL": "u"}, {"PIP_INDEX_URL": "u"}),
    ],
)  # fmt: skip
def test_pip_gets_the_callers_mirrors_and_certificates(
    given: dict[str, str], wanted: dict[str, str | None]
) -> None:
    made = module._pip_env(given)
    assert {name: made.get(name) for name in wanted} == wanted


def no_wheel(box: Box) -> None:
    box.pack("", name="uv-0.9.2.dist-info/METADATA")


def broken_program(box: Box) -> None:
    box.pack("#!/bin/sh\nexit 126\n")


def unwritable(box: Box) -> None:
    box.dest = box.python / "below a file"


def nothing(box: Box) -> None:
    """Nothing is out of order."""


@pytest.mark.parametrize(
    ("prepare", "env", "message", "hint"),
    [
        (nothing, {"PIP": "SSLError(SSLCertVerificationError(1, 'certificate verify failed'))"},
         "cannot get uv with pip: SSLError(SSLCertVerificationError(1, 'certificate verify failed'))",
         "name your network's certificate bundle in SSL_CERT_FILE"),
        (nothing, {"PIP": "SSLError('certificate verify failed: certificate is not yet valid')"},
         "cannot get uv with pip: SSLError('certificate verify failed: certificate is not yet valid')",
         "this machine's clock is behind: set it right (in WSL: sudo hwclock -s)"),
        (nothing, {"PIP": "ERROR: THESE PACKAGES DO NOT MATCH: do not match the hashes"},
         "cannot get uv with pip: ERROR: THESE PACKAGES DO NOT MATCH: do not match the hashes",
         "the mirror serves other files than were locked: ask its keeper"),
        (nothing, {"PIP": "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnec"
                          "tionError('<a.b.C object at 0x7f0d>: [Errno 111] Connection refused')': /"},
         "cannot get uv with pip: NewConnectionError('[Errno 111] Connection refused')",
         "check the network, https_proxy and PIP_INDEX_URL"),
        (nothing, {"PIP": "looking"},
         "cannot get uv with pip: ERROR: No matching distribution found for uv==0.9.2",
         "the package mirror (PIP_INDEX_URL) lacks this version, or has no uv for this processor"),
        (nothing, {"PIP": "OSError: No space left on device"},
         "cannot get uv with pip: OSError: No space left on device", "free some disk space"),
        (Box.debian, {"PIP": "absent", "APT": "offline"},
         "cannot get uv: no pip here, and Debian's pip cannot be had: E: Could not resolve the mirror",
         "check the network, https_proxy and PIP_INDEX_URL"),
        (no_wheel, {}, "cannot get uv with pip: no program inside uv-0.9.2-py3-none-any.whl",
         "install pip (Debian and Ubuntu: apt-get install python3-pip), or put uv on PATH"),
        (broken_program, {},
         f"the uv that was fetched does not run on this machine ({os.uname().machine})",
         "put a working uv on PATH"),
    ],
)  # fmt: skip
def test_a_failure_names_the_next_step_and_leaves_nothing(
    box: Box, prepare: Callable[[Box], None], env: dict[str, str], message: str, hint: str
) -> None:
    prepare(box)
    with pytest.raises(TargetError) as caught:
        box.get(env=env)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert left_in(box.dest) == []


def test_without_any_package_manager_pip_is_asked_for(box: Box) -> None:
    tools = box.folder / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    with pytest.raises(TargetError, match="this is no Debian or Ubuntu") as caught:
        box.get(env={"PIP": "absent", "PATH": str(tools)})
    assert (
        caught.value.hint == "install pip (Debian and Ubuntu: apt-get install python3-pip), or put uv on PATH"
    )


def test_a_folder_that_cannot_be_made_is_named(box: Box) -> None:
    unwritable(box)
    with pytest.raises(TargetError) as caught:
        box.get()
    assert (caught.value.message, caught.value.hint) == (
        f"cannot make {box.dest}: Not a directory",
        "choose a folder you may write to",
    )


@pytest.mark.parametrize("text", ["", "uv\n", "uv==0.9.2\n", "ruff==1 --hash=sha256:0\n"])
def test_an_unpinned_requirement_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="pins no version with hashes"):
        wanted_version(text)


def test_the_projects_own_lock_is_read() -> None:
    text = (Path(__file__).resolve().parents[3] / "requirements/uv.txt").read_text(encoding="utf-8")
    assert wanted_version(text) >= (0, 9)


def test_as_a_program_it_prints_the_path(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    script(box.dest / "uv", a_uv("99.0"))
    assert main([str(box.dest)]) == 0
    assert capsys.readouterr().out == f"{box.dest}/uv\n"


def test_as_a_program_it_fails_in_two_lines(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    requirement = box.folder / "requirement.txt"
    requirement.write_text("uv", encoding="utf-8")
    assert main([str(box.dest), "--requirement", str(requirement)]) == 1
    assert capsys.readouterr().err == (
        "the requirement for uv pins no version with hashes\n"
        "  write it with: uv pip compile --generate-hashes\n"
    )
