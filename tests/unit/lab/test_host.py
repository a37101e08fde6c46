"""What the lab needs of a host, and how it says that something is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import host

HAVE = {"docker", "dockerd", "mount", "mkfs.ext4"}


def which(command: str) -> str | None:
    return f"/usr/bin/{command}" if command in HAVE else None


def test_missing_commands() -> None:
    assert host.missing_commands(which) == ["iptables", "mmdebstrap", "ssh", "ssh-keygen"]


@pytest.mark.parametrize(
    ("commands", "release_has", "packages"),
    [
        (["ssh", "ssh-keygen"], {"openssh-client"}, ["openssh-client"]),
        (["docker", "dockerd"], {"docker.io"}, ["docker.io"]),
        (["docker", "dockerd"], {"docker.io", "docker-cli"}, ["docker.io", "docker-cli"]),
        ([], set[str](), []),
    ],
)
def test_packages_for(commands: list[str], release_has: set[str], packages: list[str]) -> None:
    assert host.packages_for(commands, release_has.__contains__) == packages


@pytest.mark.parametrize(
    ("system", "uid", "missing", "answers", "found"),
    [
        ("Linux", 0, [], True, []),
        ("Darwin", 0, [], True, ["the lab runs on Linux, this is Darwin"]),
        ("Linux", 1000, [], True, ["the lab needs root (Docker, loop mounts, mmdebstrap): run it with sudo"]),
        (
            "Linux",
            0,
            ["ssh", "mmdebstrap"],
            False,
            [
                "`ssh` is not installed: python -m tests.lab prepare",
                "`mmdebstrap` is not installed: python -m tests.lab prepare",
            ],
        ),
        ("Linux", 0, [], False, ["no Docker daemon answers: python -m tests.lab prepare"]),
    ],
)
def test_obstacles(
    system: str,
    uid: int,
    missing: list[str],
    *,
    answers: bool,
    found: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(host, "missing_commands", lambda: missing)
    monkeypatch.setattr(host, "docker_answers", lambda: answers)
    assert host.obstacles() == found


@pytest.mark.parametrize(
    ("v2", "arguments"),
    [
        (False, ["--volume=/sys/fs/cgroup:/sys/fs/cgroup:ro"]),
        (True, ["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]),
    ],
)
def test_cgroup_arguments(*, v2: bool, arguments: list[str]) -> None:
    assert host.cgroup_arguments(v2) == arguments


def test_docker_is_started_by_systemd_where_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(host, "run", lambda argv, **_: started.append(argv))
    monkeypatch.setattr(host, "docker_answers", lambda: True)
    host.start_docker(systemd=tmp_path)
    assert started == [["systemctl", "start", "docker.service"]]


def test_docker_is_started_detached_where_there_is_no_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, object]]] = []
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr("subprocess.Popen", lambda argv, **how: started.append((argv, how)))
    monkeypatch.setattr(host, "docker_answers", lambda: bool(started))
    host.start_docker(systemd=tmp_path / "none")
    ((argv, how),) = started
    assert argv == ["dockerd"]
    assert (how["stdin"], how["stderr"], how["start_new_session"]) == (
        subprocess.DEVNULL,
        subprocess.STDOUT,
        True,
    )
    assert (tmp_path / "dockerd.log").is_file()
