"""A box in words → Facts: what is known of its parts, what stays unknown, and what no box can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.compat import knowledge
from provisioner.compat.described import described
from provisioner.errors import UsageError
from provisioner.facts import (
    SYSTEM_PLACES,
    Cpu,
    Disk,
    Facts,
    Gpu,
    Memory,
    OperatingSystem,
    Places,
    Python,
    Unknown,
    User,
)


def system(name: str, **more: Any) -> knowledge.System:
    """A system that is only known here."""
    plain: dict[str, Any] = {
        "name": name, "id": name.rstrip("0123456789."), "version_id": name.lstrip("abcdelmnostuw"),
        "pretty": name.title(), "glibc": "2.39", "python": "3.12", "kernel": "6.8",
        "source": "this test", "confidence": "unconfirmed",
    }  # fmt: skip
    return knowledge.System(**plain | more)


SYSTEMS = (
    system("ubuntu24.04", pretty="Ubuntu 24.04 LTS", arches=("x86_64", "aarch64")),
    system("centos7", glibc="2.17", python=None, kernel="3.10"),
    system("el9", id="rhel", version_id="9", aliases=("rocky9", "almalinux9")),
    system("wsl2", id="ubuntu", version_id="24.04", wsl=True),
    system("macos", glibc="", version_id="15", arches=("arm64",)),
)
CARD = knowledge.Gpu(
    name="GeForce RTX 4090", capability="8.9", memory_bytes=24 << 30, pci=("0x2684",),
    source="this test", confidence="unconfirmed",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "systems", lambda: SYSTEMS)
    monkeypatch.setattr(knowledge, "gpus", lambda: (CARD,))


def unknown(*names: str) -> tuple[Unknown, ...]:
    return tuple(Unknown(name, "not described") for name in names)


RTX_4090 = Gpu(
    "0000:01:00.0", "0x10de", "0x2684", "NVIDIA GeForce RTX 4090", 24 << 30, capability="8.9", driver="nvidia"
)
WHOLE = Facts(
    schema=1,
    hostname="described",
    os=OperatingSystem(
        "ubuntu", "24.04", "Ubuntu 24.04 LTS",
        kernel="6.8", arch="x86_64", libc="glibc", libc_version="2.39", wsl=False, secure_boot=True,
    ),
    python=Python("3.12", "python3"),
    user=User("root", 0, "/root"),
    privilege="root",
    cpu=Cpu(cores=8),
    memory=Memory(total_bytes=32_000_000_000),
    gpus=(RTX_4090,),
    driver_version="580.65.06",
    places={"system": SYSTEM_PLACES},
    disks={
        path: Disk(500 * 10**9, 500 * 10**9)
        for path in (SYSTEM_PLACES.code, SYSTEM_PLACES.state, SYSTEM_PLACES.cache)
    },
)  # fmt: skip


def test_a_whole_description() -> None:
    found = described(
        gpu="rtx4090", os="Ubuntu 24.04", memory="32GB", cores=8, arch="amd64", driver="580.65.06",
        disk="500 GB", secure_boot=True,
    )  # fmt: skip
    assert found == WHOLE


def test_nothing_said_is_nothing_known() -> None:
    assert described() == Facts(
        schema=1,
        hostname="described",
        os=OperatingSystem(),
        python=None,
        user=User("root", 0, "/root"),
        privilege="root",
        places={"system": SYSTEM_PLACES},
        unknown=unknown(
            "os", "os.arch", "os.secure_boot", "python", "cpu", "memory", "gpus", "driver_version", "disks"
        ),
    )


def test_facts_of_a_description_are_facts() -> None:
    """They go where facts of machines go: through JSON and back."""
    assert Facts.decode(WHOLE.to_json()) == WHOLE


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"gpu": "none"}, {"gpus", "driver_version"}),
        ({"driver": "none"}, {"driver_version"}),
        ({"gpu": "RTX 4090"}, {"gpus"}),
        ({"os": "ubuntu24.04"}, {"os", "python"}),
        # A system that runs on one architecture only leaves no choice; a Mac has no NVIDIA GPU.
        ({"os": "macos"}, {"os", "os.arch", "python", "gpus", "driver_version"}),
        ({"python": "3.11"}, {"python"}),
        ({"memory": 8}, {"memory"}),
        ({"cores": 2}, {"cpu"}),
        ({"disk": "1TB"}, {"disks"}),
        ({"secure_boot": False}, {"os.secure_boot"}),
        ({"arch": "arm64"}, {"os.arch"}),
    ],
)
def test_what_is_said_is_known_and_no_more(said: dict[str, Any], missing: set[str]) -> None:
    before = {entry.what for entry in described().unknown}
    assert before - {entry.what for entry in described(**said).unknown} == missing


@pytest.mark.parametrize(
    ("said", "python", "kernel", "wsl"),
    [
        ("centos7", None, "3.10", False),
        ("CentOS 7", None, "3.10", False),
        ("rocky9", Python("3.12", "python3"), "6.8", False),
        ("wsl2", Python("3.12", "python3"), "6.8", True),
    ],
)
def test_a_system_brings_what_it_comes_with(said: str, python: Python | None, kernel: str, wsl: bool) -> None:
    found = described(os=said)
    assert (found.python, found.os.kernel, found.os.wsl) == (python, kernel, wsl)


@pytest.mark.parametrize("said", [{}, {"arch": "arm64"}, {"arch": "aarch64"}])
def test_an_architecture_is_called_what_its_system_calls_it(said: dict[str, Any]) -> None:
    assert described(os="macos", **said).os.arch == "arm64"
    assert described(os="ubuntu24.04", arch="arm64").os.arch == "aarch64"


def test_without_root_the_places_are_the_users() -> None:
    found = described(root=False, disk="10GB")
    assert found.privilege == "none"
    assert found.user == User("user", 1000, "/home/user")
    assert found.places == {
        "user": Places(
            "/home/user/.local/share/provisioner/code",
            "/home/user/.local/share/provisioner/state",
            "/home/user/.cache/provisioner",
        )
    }
    assert {disk.free_bytes for disk in found.disks.values()} == {10**10}


def test_a_card_without_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = knowledge.Gpu(
        name="GB10", capability="12.1", memory_bytes=None, unified=True,
        source="this test", confidence="unconfirmed",
    )  # fmt: skip
    monkeypatch.setattr(knowledge, "gpus", lambda: (shared,))
    assert described(gpu="GB10").gpus == (
        replace(RTX_4090, device="", name="NVIDIA GB10", memory_bytes=None, capability="12.1", driver=None),
    )


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"os": "ubutnu24.04"}, "--os ubutnu24.04: no such system is known", "did you mean ubuntu24.04?"),
        ({"arch": "arm63"}, "--arch arm63: no such architecture", "did you mean arm64?"),
        (
            {"os": "macos", "gpu": "RTX 4090"},
            "--os macos with --gpu RTX 4090: macOS has no driver for NVIDIA GPUs",
            "leave one of them out",
        ),
        (
            {"os": "macos", "driver": "580.65.06"},
            "--os macos with --driver 580.65.06: macOS has no NVIDIA driver",
            "leave one of them out",
        ),
        (
            {"os": "el9", "arch": "arm64"},
            "--arch arm64 with --os el9: it is known for x86_64 only",
            "leave --arch out, or name another system",
        ),
        (
            {"os": "wsl2", "secure_boot": True},
            "--secure-boot with --os wsl2: Windows loads the driver, not the Linux below it",
            "leave --secure-boot out",
        ),
        ({"gpu": "none", "require_gpu": True}, "--gpu none with --require-gpu", "leave one of them out"),
        (
            {"gpu": "none", "driver": "580.65.06"},
            "--gpu none with --driver 580.65.06",
            "a driver is loaded for a GPU: name it",
        ),
        (
            {"memory": "0"},
            "--memory 0: a box has some",
            "say it like --memory 32GB, or leave it out",
        ),
        ({"memory": "32"}, "--memory 32: no size", "say it like --memory 32GB"),
        ({"disk": "-5GB"}, "--disk -5GB: no size", "say it like --disk 32GB"),
        ({"cores": 0}, "--cores 0: a box has at least one", "say how many cores it has"),
        ({"driver": "new"}, "--driver new: no version of a driver", "say it like 580.65.06, or none"),
        ({"python": "2.7"}, "--python 2.7: no version of Python", "say it like 3.12, or none"),
    ],
)
def test_what_no_box_can_be(said: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        described(**said)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_branch_is_answered_with_its_newest_driver() -> None:
    newest = next(one.newest for one in knowledge.branches() if one.branch == 580)
    with pytest.raises(UsageError) as caught:
        described(driver="580")
    assert caught.value.hint == f"say the whole version, such as {newest}"
