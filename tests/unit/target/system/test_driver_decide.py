"""What is done about a driver: every combination that the role decides by."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system.driver_decide import Verdict, decide, signs_itself
from provisioner.target.system.driver_look import Seen

GPU = ["0000:01:00.0"]


def seen(**more: Any) -> Seen:
    """A bare machine without a GPU."""
    plain: dict[str, Any] = {
        "root": True, "ident": "debian", "like": [], "wsl": False, "container": None, "gpus": [],
        "loaded": None, "answers": None, "silence": "", "nouveau": "", "secure_boot": False,
        "running": "6.12.1-amd64", "kernels": [],
    }  # fmt: skip
    return Seen(**{**plain, **more})


def wants(action: str, **more: Any) -> dict[str, Any]:
    plain = {"action": action, "packages": ["nvidia-driver"], "runfile": {}, "without_gpu": "skip"}
    return {**plain, **more}


NO_GPU = "There is no NVIDIA GPU here: there is no driver to install."
WINDOWS = "/usr/lib/wsl/lib/libcuda.so.1"
LOST = (
    "The loader does not know /usr/lib/wsl/lib, so only what this tool starts finds it: write that "
    "folder into /etc/ld.so.conf.d/ld.wsl.conf and run sudo ldconfig."
)
CASES: dict[str, tuple[Seen, dict[str, Any], Verdict]] = {
    "none, and no GPU": (
        seen(), wants("none"), Verdict("nothing", [NO_GPU])
    ),
    "none, and a GPU": (
        seen(gpus=GPU), wants("none"),
        Verdict("nothing", ["An NVIDIA GPU is here and no driver; none is asked for."]),
    ),
    "none, and a driver": (
        seen(gpus=GPU, loaded="550.1"), wants("none"),
        Verdict("nothing", ["Driver 550.1 is there; nothing is asked of it."]),
    ),
    "keep what is there": (
        seen(gpus=GPU, loaded="550.1"), wants("keep"), Verdict("check", ["Driver 550.1 is there, and stays."])
    ),
    "keep, by a user": (
        seen(gpus=GPU, loaded="550.1", root=False), wants("keep"),
        Verdict("check", ["Driver 550.1 is there, and stays."]),
    ),
    "keep nothing, without a GPU": (
        seen(), wants("keep"), Verdict("nothing", [NO_GPU])
    ),
    "keep the driver of the machine around a container": (
        seen(gpus=GPU, container="docker"), wants("keep"),
        Verdict("nothing", ["An NVIDIA GPU is here and no driver; none is asked for."]),
    ),
    "install": (seen(gpus=GPU), wants("install"), Verdict("install", [], load=True)),
    "install without a GPU": (
        seen(), wants("install"), Verdict("nothing", ["There is no NVIDIA GPU here: no driver is installed."])
    ),
    "install for a GPU to come": (
        seen(), wants("install", without_gpu="install"),
        Verdict("install", ["There is no NVIDIA GPU yet: the driver is installed, and not loaded."]),
    ),
    "install in a container": (
        seen(container="docker", gpus=GPU), wants("install", without_gpu="install"),
        Verdict("install", ["In a container the driver is installed, and nothing is loaded."]),
    ),
    "install by the runfile": (
        seen(gpus=GPU), wants("install", packages=[], runfile={"url": "x"}), Verdict("install", [], load=True)
    ),
    "nothing in WSL": (
        seen(wsl=True, loaded="551.61", windows=WINDOWS), wants("none"),
        Verdict("nothing", [f"Windows' driver 551.61 is used, and left alone ({WINDOWS})."]),
    ),
    "a loader that does not know what Windows lends": (
        seen(wsl=True, loaded="551.61", windows=WINDOWS, lost=True), wants("keep", container_toolkit=True),
        Verdict("nothing", [
            f"Windows' driver 551.61 is used, and left alone ({WINDOWS}).",
            LOST,
            "nvidia_driver_container_toolkit is left out: in WSL nothing goes beside Windows' driver.",
        ]),
    ),
    "keep in WSL": (
        seen(wsl=True, loaded="551.61", windows=WINDOWS), wants("keep"),
        Verdict("nothing", [f"Windows' driver 551.61 is used, and left alone ({WINDOWS})."]),
    ),
    "WSL without a driver in Windows": (
        seen(wsl=True), wants("none"),
        Verdict("nothing", ["The driver that Windows lends to WSL is not there (/usr/lib/wsl/lib)."]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("box", "wanted", "expected"), CASES.values(), ids=CASES)
def test_what_is_done(box: Seen, wanted: dict[str, Any], expected: Verdict) -> None:
    assert decide(box, wanted) == expected


REFUSALS: dict[str, tuple[Seen, dict[str, Any], str, str]] = {
    "by a user": (
        seen(gpus=GPU, root=False), wants("install"),
        "a driver is installed by root only", "run it with root or sudo",
    ),
    "no packages": (
        seen(gpus=GPU), wants("install", packages=[]),
        "nvidia_driver_action is install, and no package is named",
        "let `provision up` choose, or name them in nvidia_driver_packages",
    ),
    "in a container": (
        seen(container="docker"), wants("install"),
        "a container (docker) uses the driver of the machine that runs it",
        "install it there; nvidia_driver_without_gpu=install builds it here and loads nothing",
    ),
    "in WSL": (
        seen(wsl=True, loaded="551.61", windows=WINDOWS), wants("install", without_gpu="install"),
        "in WSL2 the driver is Windows' own: one that is installed here would hide it",
        "install NVIDIA's driver in Windows, and leave nvidia_driver_action at none",
    ),
    "keep a driver that Windows does not lend": (
        seen(wsl=True, windows=WINDOWS), wants("keep"),
        "the driver that Windows lends to WSL does not answer",
        "install or update NVIDIA's driver in Windows, then run wsl --shutdown there",
    ),
    "keep where none is": (
        seen(gpus=GPU), wants("keep"),
        "the driver is to stay, and none is loaded",
        "load it (modprobe nvidia), or have one installed (nvidia_driver_branch=auto)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("box", "wanted", "message", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused(box: Seen, wanted: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        decide(box, wanted)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("packages", "here"),
    [
        (["nvidia-driver", "nvidia-kernel-dkms"], True),
        (["linux-modules-nvidia-580-server-open-generic", "nvidia-utils-580-server"], False),
        ([], True),
    ],
)
def test_who_signs_the_modules(packages: list[str], here: bool) -> None:
    assert signs_itself({"packages": packages}) is here
