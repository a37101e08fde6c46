"""The sh stage, run by the shells that boxes have, below the login shells that people have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.hosts import bundle
from provisioner.hosts.transport import command, stage

Entries = Callable[[dict[str, str]], Path]

SHELLS = {
    "dash": ["dash"],
    "bash": ["bash"],
    "bash as sh": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
    "zsh": ["zsh", "--emulate", "sh"],  # as it is where it is called sh
    "ksh": ["ksh"],
    "mksh": ["mksh"],
}
LOGIN_SHELLS = ["sh", "bash", "zsh", "fish", "csh", "tcsh", "ksh", "busybox"]
ECHO = "def main(r):\n    return {'n': r['n']}\n"


def the(shell: str) -> str:
    found = shutil.which(shell)
    if not found:
        pytest.skip(f"{shell} is not installed")
    return found


def tools(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A PATH of its own with the few programs that the stage may use."""
    folder.mkdir()
    for name in ("sh", "id", "tr", "true"):
        if name not in without:
            (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def run(
    argv: list[str], stdin: bytes, path: Path | None = None, **env: str
) -> subprocess.CompletedProcess[bytes]:
    # PATH is the only road to programs; the stage adds the standard folders, which `isolated` takes out.
    return subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        timeout=30,
        check=False,
        env={"PATH": str(path) if path else os.environ["PATH"], "HOME": "/nonexistent", **env},
    )


def isolated() -> str:
    """The stage less its additions to PATH and absolute interpreters, so this machine does not show."""
    kept = [line for line in stage().split("; ") if not line.startswith("PATH=")]
    return "; ".join(kept).replace("/usr/bin/python3 ", "").replace("/usr/libexec/platform-python", "")


def answered(done: subprocess.CompletedProcess[bytes]) -> tuple[list[str], dict[str, Any]]:
    said = [line for line in done.stdout.decode().splitlines() if line.startswith("PROVISION1-STAGE")]
    return said[0].split()[1:], bundle.decode(bundle.frame(done.stdout))


def test_the_stage_is_one_line_that_single_quotes_can_hold() -> None:
    assert not set(stage()) & set("'\n!")
    assert stage().isascii()
    assert "#" not in stage().replace("${#1}", "").replace("${rest#*:}", "")


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS.keys())
def test_under_this_sh(shell: list[str], entries: Entries) -> None:
    entries({"echo.py": ECHO})
    argv = [the(shell[0]), *shell[1:], "-c", stage(), "x", bundle.loader(), "none", "root", "", ""]
    done = run(argv, bundle.payload("echo", {"n": 3}))
    assert answered(done) == (["no", "unasked", "yes"], {"ok": True, "value": {"n": 3}})
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("login", LOGIN_SHELLS)
def test_below_this_login_shell(login: str, entries: Entries, tmp_path: Path) -> None:
    entries({"echo.py": ECHO})
    line = command("none", "root", "", password=False)
    argv = [the(login), *(["sh"] if login == "busybox" else []), "-c", line]
    done = run(argv, bundle.payload("echo", {"n": '!$`"\\'}), HOME=str(tmp_path))
    assert answered(done) == (["no", "unasked", "yes"], {"ok": True, "value": {"n": '!$`"\\'}})
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("text", "release"),
    [
        (
            'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            {"id": "debian", "version_id": "12", "pretty": "Debian GNU/Linux 12 (bookworm)"},
        ),
        ('ID=arch\nPRETTY_NAME="Ärch \\"\\\\x"\n', {"id": "arch", "version_id": "", "pretty": "Ärch x"}),
        ("", {"id": "", "version_id": "", "pretty": ""}),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_without_python_it_says_so_in_the_same_frame(
    shell: str, text: str, release: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "os-release").write_text(text)
    script = isolated().replace("/etc/os-release", str(tmp_path / "os-release"))
    argv = [
        the(shell),
        *(["sh"] if shell == "busybox" else []),
        "-c",
        script,
        "x",
        "",
        "none",
        "root",
        "",
        "",
    ]
    done = run(argv, b"", tools(tmp_path / "bin"))
    value = {"schema": 1, "python": None, "os": release, "uid": os.getuid(), "root": "no", "sudo": "no"}
    value["left"] = "yes" if Path("/var/lib/provisioner").exists() else "no"
    assert answered(done) == (["no", "unasked", "no"], {"ok": True, "value": value})
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_python_that_is_too_old_is_passed_over_emulated(entries: Entries, tmp_path: Path) -> None:
    entries({"echo.py": ECHO})
    path = tools(tmp_path / "bin")
    for name, text in (("python3", "exit 1"), ("python3.9", f'exec {sys.executable} "$@"')):
        (path / name).write_text(f"#!/bin/sh\n{text}\n")
        (path / name).chmod(0o755)
    argv = [the("sh"), "-c", isolated(), "x", bundle.loader(), "none", "root", "", ""]
    done = run(argv, bundle.payload("echo", {"n": 1}), path)
    assert answered(done) == (["no", "unasked", "yes"], {"ok": True, "value": {"n": 1}})


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "mksh"])
@pytest.mark.parametrize(
    ("kernel", "taken"), [("6.6.87.2-microsoft-standard-WSL2", "linux"), ("6.12.1", "c")]
)
def test_the_python_of_windows_is_none_of_this_box_emulated(
    shell: str, kernel: str, taken: str, entries: Entries, tmp_path: Path
) -> None:
    """Windows' disk is a folder of the test's, and the kernel's name is what a stand-in of `cat` says."""
    entries({"echo.py": ECHO})
    path, disk = tools(tmp_path / "bin"), tmp_path / "mnt/c/Python 312"
    disk.mkdir(parents=True)
    for folder, text in ((disk, "c"), (path, "linux")):
        (folder / "python3").write_text(
            f'#!/bin/sh\necho {text} >> {tmp_path}/log\nexec {sys.executable} "$@"\n'
        )
        (folder / "python3").chmod(0o755)
    (path / "cat").write_text(f"#!/bin/sh\necho {kernel}\n")
    (path / "cat").chmod(0o755)
    script = stage().replace("/mnt/[", f"{tmp_path}/mnt/[").replace("/usr/bin/python3 ", "")
    argv = [the(shell), *(["sh"] if shell == "busybox" else []), "-c", script]
    argv += ["x", bundle.loader(), "none", "root", "", ""]
    done = run(argv, bundle.payload("echo", {"n": 1}), Path(f"{disk}:{path}"))
    assert answered(done) == (["no", "unasked", "yes"], {"ok": True, "value": {"n": 1}})
    assert set((tmp_path / "log").read_text().split()) == {taken}


def test_a_python_that_is_no_unix_program_is_passed_over_emulated(entries: Entries, tmp_path: Path) -> None:
    entries({"echo.py": ECHO})
    path = tools(tmp_path / "bin")
    # Python in Windows has no module pwd.
    blind = f'exec {sys.executable} -c "import sys; sys.modules[\\"pwd\\"] = None; exec(sys.argv[-1])" "$@"'
    for name, text in (("python3", blind), ("python3.9", f'exec {sys.executable} "$@"')):
        (path / name).write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/log\n{text}\n")
        (path / name).chmod(0o755)
    argv = [the("sh"), "-c", isolated(), "x", bundle.loader(), "none", "root", "", ""]
    done = run(argv, bundle.payload("echo", {"n": 1}), path)
    assert answered(done) == (["no", "unasked", "yes"], {"ok": True, "value": {"n": 1}})
    assert (tmp_path / "log").read_text().split() == ["python3", "python3.9", "python3.9"]


FAKE_SUDO = """#!/bin/sh
# Emulates sudo: -n without a password, or -S with the password on standard input. Notes how it was called.
echo "$*" | cut -c1-40 >> {log}
ask=yes; check=no
while :; do
  case $1 in
    -n) shift; {n} ;;
    -S|-H) shift ;;
    -p|-u) shift 2 ;;
    -v) check=yes; shift; break ;;
    *) break ;;
  esac
done
if [ "$ask" = yes ] && [ {again} = yes -o "$check" = yes ]; then
  IFS= read -r word
  {s}
fi
[ "$check" = yes ] && exit 0
exec "$@"
"""
NEEDS = "echo 'sudo: a password is required' >&2; exit 1"
RIGHT = """[ "$word" = "right" ] || { echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }"""
NOT_IN = "echo 'ann is not in the sudoers file.' >&2; exit 1"
TTY = "echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1"
RS_NEEDS = "echo 'sudo: interactive authentication is required' >&2; exit 1"
RS_WRONG = """[ "$word" = "right" ] || { echo 'sudo: Authentication failed, try again.' >&2; exit 1; }"""

# what `sudo -n` does, what `sudo -S` does, whether it asks again; privilege, password, the stage's words, ran
SUDO = {
    "free": ("ask=no", RIGHT, "no", "auto", None, "yes yes yes", True),
    "free, and a password nobody wants": ("ask=no", RIGHT, "no", "require", "right", "yes yes yes", True),
    "password": (NEEDS, RIGHT, "no", "require", "right", "yes password yes", True),
    "password, asked for every time": (NEEDS, RIGHT, "yes", "require", "right", "yes password yes", True),
    "password with odd letters": (
        NEEDS,
        RIGHT.replace("right", "r \\n%s"),
        "yes",
        "require",
        "r \\n%s",
        "yes password yes",
        True,
    ),
    "no password, required": (NEEDS, RIGHT, "no", "require", None, "no password yes", False),
    "no password, auto": (NEEDS, RIGHT, "no", "auto", None, "no password yes", True),
    "wrong password, required": (NEEDS, RIGHT, "no", "require", "guess", "no wrong-password yes", False),
    "wrong password, auto": (NEEDS, RIGHT, "no", "auto", "guess", "no wrong-password yes", False),
    "not in sudoers": (NEEDS, NOT_IN, "no", "require", "right", "no refused yes", False),
    "requiretty": (TTY, TTY, "no", "require", "right", "no tty yes", False),
    "sudo-rs": (RS_NEEDS, RS_WRONG, "no", "require", "right", "yes password yes", True),
    "sudo-rs, wrong": (RS_NEEDS, RS_WRONG, "no", "require", "guess", "no wrong-password yes", False),
    "not asked": ("ask=no", RIGHT, "no", "none", None, "no unasked yes", True),
}


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize("case", SUDO.values(), ids=SUDO.keys())
def test_sudo_emulated(shell: str, case: tuple[Any, ...], entries: Entries, tmp_path: Path) -> None:
    n, s, again, privilege, password, words, done_there = case
    entries({"echo.py": ECHO})
    path = tools(tmp_path / "bin", without=("id",))
    for name in ("cut", "python3"):
        (path / name).symlink_to(sys.executable if name == "python3" else str(shutil.which(name)))
    log = tmp_path / "log"
    log.touch()
    scripts = {
        "sudo": FAKE_SUDO.format(log=log, n=n, s=s, again=again),
        "id": '#!/bin/sh\n[ "$2" = root ] && echo 0 || echo 1000\n',
    }
    for name, text in scripts.items():
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    argv = [the(shell), *(["sh"] if shell == "busybox" else []), "-c", isolated()]
    argv += ["x", bundle.loader(), privilege, "root", "", "password" if password else ""]
    secret = f"{password}\n".encode() * 2 if password else b""
    done = run(argv, secret + bundle.payload("echo", {"n": 1}), path)
    said, answer = answered(done)
    assert said == words.split()
    if done_there:
        assert answer == {"ok": True, "value": {"n": 1}}
    else:
        assert answer == {"ok": False, "error": words.split()[1], "hint": None, "kind": "NoSudo"}
    assert (done.returncode, done.stderr) == (0, b"")
    assert not password or password not in log.read_text() + done.stdout.decode()


def test_sudo_missing_emulated(entries: Entries, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", without=("id",))
    (path / "id").write_text('#!/bin/sh\n[ "$2" = root ] && echo 0 || echo 1000\n')
    (path / "id").chmod(0o755)
    done = run([the("sh"), "-c", isolated(), "x", "", "require", "root", "", ""], b"", path)
    assert answered(done)[1] == {"ok": False, "error": "missing", "hint": None, "kind": "NoSudo"}


def test_root_needs_no_sudo_emulated(entries: Entries, tmp_path: Path) -> None:
    entries({"echo.py": ECHO})
    path = tools(tmp_path / "bin", without=("id",))
    (path / "id").write_text("#!/bin/sh\necho 0\n")
    (path / "id").chmod(0o755)
    (path / "python3").symlink_to(sys.executable)
    argv = [the("sh"), "-c", isolated(), "x", bundle.loader(), "require", "root", "", ""]
    assert answered(run(argv, bundle.payload("echo", {"n": 1}), path)) == (
        ["yes", "root", "yes"],
        {"ok": True, "value": {"n": 1}},
    )
