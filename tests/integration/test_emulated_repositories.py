"""NVIDIA's repositories, emulated, on machines that present themselves as other systems: what is put among
the sources, and what is said of one that cannot be used. The packages are stubs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioner.hosts.errors import Refused
from provisioner.target.system.repository import apt, keyring
from tests.hub.server import Fault, Kind
from tests.integration.emulated import MIRROR, Box, emulation
from tests.lab.fixtures import MachineFactory
from tests.lab.nvidia.repository import KEYRING, emulate
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import systems

KEEPER = "ask the mirror's keeper, or correct nvidia_repository_mirror"
LATER = "run again later, or name another server in nvidia_repository_mirror"
LEAVE_OUT = "correct nvidia_repository_mirror, or leave it out"
TOOLKIT = {"cuda_toolkit_version": "12.4"}
# The oldest and the newest of apt's that are to be had here.
TRIED = ("debian12", "ubuntu24.04")


@pytest.fixture(scope="module")
def boxes(
    module_machine_factory: MachineFactory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Box]]:
    machines = {name: module_machine_factory(release=systems()[name].release) for name in TRIED}
    for machine in machines.values():
        # Debian's own mirror is not asked here, which takes longer than all the rest.
        machine.run("rm", "-f", "/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
    with emulation(machines, tmp_path_factory.mktemp("emulated")) as boxes:
        yield boxes


@pytest.fixture(params=TRIED)
def box(request: pytest.FixtureRequest, boxes: Mapping[str, Box]) -> Iterator[Box]:
    """One of them, without a repository of NVIDIA's; its server as it was at first."""
    box = boxes[request.param]
    held = dict(box.hub.files)
    yield box
    box.hub.files.clear()
    box.hub.files.update(held)
    box.hub.faults.clear()
    box.hub.forget()
    box.repository(name="")
    box.machine.run("sh", "-c", "rm -f /var/lib/apt/lists/127.0.0.1* /var/lib/apt/lists/partial/*")
    assert box.files() == []


# What has nothing to do with apt is asked of one machine.
once = pytest.mark.parametrize("box", TRIED[:1], indirect=True)


def refusal(box: Box, **changes: Any) -> tuple[str, str | None]:
    """What a person is told, addresses shortened; nothing is left behind."""
    with pytest.raises(Refused) as caught:
        box.repository(**changes)
    assert box.files() == []
    box.machine.run("sh", "-c", "! ls -d /tmp/provision-*")
    at = f"{MIRROR}{box.folder}"
    return caught.value.message.replace(at, "REPOSITORY/"), caught.value.hint


def test_emulated_repository_is_read_once_it_is_there(box: Box) -> None:
    assert box.repository(check=True)["changed"] is True
    assert (box.files(), box.hub.log) == ([], [])
    assert box.repository() == {"changed": True, "files": list(apt.FILES), "uses": None}
    assert box.repository(check=True)["changed"] is False
    box.hub.forget()
    assert box.repository()["changed"] is False
    assert box.hub.log == []
    # The whole of apt takes it, and nothing of the keyring's package was installed.
    box.machine.run("sh", "-ec", "apt-get update -q 2>&1 | (! grep -E '^(W|E|Warning|Error):')")
    assert "cuda-keyring" not in box.installed()
    box.machine.run("sh", "-c", "! ls /etc/apt/preferences.d/cuda-repository-pin-600")


def test_emulated_traps_have_no_candidate(box: Box) -> None:
    box.repository()
    traps = ["cuda-drivers", "nvidia-open", "nvidia-driver", "libnvidia-compute", "nvidia-driver-pinning-580"]
    traps += ["cuda", "cuda-12-4", "cuda-runtime-12-4"] if box.system.name == "debian12" else []
    assert {name: box.candidate(name) for name in traps} in (
        dict.fromkeys(traps, "(none)"),
        # Debian's has no package of that name.
        {**dict.fromkeys(traps, "(none)"), "libnvidia-compute": "unknown"},
    )
    wanted = "cuda-toolkit-12-4" if box.system.name == "debian12" else "cuda-toolkit-12-6"
    assert box.candidate(wanted) not in ("(none)", "unknown")


def test_emulated_driver_comes_from_it_only_when_asked(box: Box) -> None:
    box.repository(driver=True)
    assert box.candidate("nvidia-open") == "615.71.09-1"
    assert box.candidate("cuda") in ("(none)", "unknown")
    assert box.repository(driver=False)["changed"] is True
    assert box.candidate("nvidia-open") == "(none)"


@once
def test_emulated_package_of_the_key_with_another_digest_is_refused(box: Box) -> None:
    wrong = {"url": box.known["nvidia_repository_keyring_url"], "sha256": "0" * 64}
    assert refusal(box, keyring=wrong) == (
        f"REPOSITORY/{KEYRING} is not the file that is expected (SHA-256 {'0' * 12}…)", KEEPER
    )  # fmt: skip


@once
def test_emulated_key_of_somebody_else_is_refused(box: Box) -> None:
    right = box.known["nvidia_repository_fingerprint"]
    assert refusal(box, fingerprint="F" * 40) == (
        f"REPOSITORY/{KEYRING} holds another key than NVIDIA's: {right} instead of {'F' * 40}",
        KEEPER + "; do not trust that one",
    )


def test_emulated_index_signed_by_somebody_else_is_refused(box: Box, tmp_path: Path) -> None:
    other = SigningKey.make(tmp_path / "gpg")
    try:
        theirs = emulate(other, [box.system.name])
    finally:
        other.close()
    box.hub.files[f"{box.folder}InRelease"] = theirs.files[f"{box.folder}InRelease"]
    assert refusal(box) == (
        "REPOSITORY/: its index is not signed by NVIDIA's key", KEEPER + "; do not trust it unsigned"
    )  # fmt: skip


@once
@pytest.mark.parametrize(
    ("status", "said", "hint"), [(404, "404 Not Found", LEAVE_OUT), (500, "500 Internal Server Error", LATER)]
)
def test_emulated_mirror_without_the_key_is_named(box: Box, status: int, said: str, hint: str) -> None:
    box.hub.faults.append(Fault(Kind.STATUS, path=box.folder + KEYRING, status=status, times=None))
    assert refusal(box) == (f"REPOSITORY/{KEYRING}: the server answers {said}", hint)


@pytest.mark.parametrize(
    ("status", "file", "said", "hint"),
    [
        (404, "*Release", "there is no repository (404)", LEAVE_OUT),
        (500, "*Release", "the server fails", LATER),
        (404, "Packages*", "there is no repository (404)", LEAVE_OUT),
    ],
)
def test_emulated_mirror_that_fails_is_named(box: Box, status: int, file: str, said: str, hint: str) -> None:
    box.hub.faults.append(Fault(Kind.STATUS, path=box.folder + file, status=status, times=None))
    assert refusal(box) == (f"REPOSITORY/: {said}", hint)


def test_emulated_mirror_with_half_an_index_is_named(box: Box) -> None:
    whole = box.hub.files[f"{box.folder}Packages"]
    assert isinstance(whole, bytes)
    box.hub.files[f"{box.folder}Packages"] = whole[: len(whole) // 2]
    said, hint = refusal(box)
    assert said.startswith("REPOSITORY/: its index is not what it says it is: half a file, or a mirror ")
    assert hint == "run again in a few minutes; else " + KEEPER


@once
def test_emulated_mirror_that_breaks_off_is_named(box: Box) -> None:
    box.hub.faults.append(Fault(Kind.TRUNCATE, path=box.folder + KEYRING, at=900, times=None))
    said, hint = refusal(box)
    assert said.startswith(f"REPOSITORY/{KEYRING}: it ended ")
    assert hint == keyring.UNREACHED


@once
def test_emulated_mirror_that_is_not_there_is_named(box: Box) -> None:
    with pytest.raises(Refused) as caught:
        box.repository(mirror="http://127.0.0.1:9")
    assert caught.value.message.startswith("http://127.0.0.1:9/compute/cuda/repos/")
    assert caught.value.hint == keyring.UNREACHED


@once
def test_emulated_unattended_upgrades_hold_the_lock_for_a_while(box: Box) -> None:
    hold = "import fcntl; fcntl.lockf(open('/var/lib/apt/lists/lock', 'w'), fcntl.LOCK_EX); import time"
    holding = f'systemd-run --collect --unit=racing python3 -c "{hold}; time.sleep(5)"; sleep 1'
    box.machine.run("sh", "-ec", holding)
    assert box.repository()["changed"] is True


def test_emulated_list_of_the_users_own_is_used_and_never_doubled(box: Box) -> None:
    path = "/etc/apt/sources.list.d/cuda-emulated.list"
    key, url = "/usr/share/keyrings/cuda-archive-keyring.gpg", f"{MIRROR}{box.folder}"
    line = f"deb [signed-by={key}] {url} /"
    try:
        box.machine.run(
            "sh", "-ec", 'cat > "$1"; echo "$2" > "$3"', "-", key, line, path, input=box.emulated.key.public
        )
        assert box.repository() == {"changed": False, "files": [], "uses": path}
        box.machine.run("sh", "-ec", "apt-get update -q 2>&1 | (! grep -E '^(W|E|Warning|Error):')")
        # What would have come of a second one: apt is unusable altogether.
        double = f"Types: deb\nURIs: {url}\nSuites: /\nSigned-By: /etc/apt/keyrings/other.gpg\n"
        box.machine.run("sh", "-c", "cat > /etc/apt/sources.list.d/double.sources", input=double)
        said = box.machine.run("apt-get", "update", check=False)
        assert "Conflicting values set for option Signed-By" in said.stderr
        box.machine.run("rm", "/etc/apt/sources.list.d/double.sources")
        # Its key is gone: it is named, and not replaced behind the user's back.
        box.machine.run("sh", "-c", f"rm {key} /var/lib/apt/lists/127.0.0.1*")
        with pytest.raises(Refused) as caught:
            box.repository()
        assert caught.value.message == f"{url} (of {path}): its index is not signed by NVIDIA's key"
        assert caught.value.hint == f"correct {path}, or remove it: then provision brings its own"
    finally:
        box.machine.run("rm", "-f", path, key, "/etc/apt/sources.list.d/double.sources")
    assert box.repository()["files"] == list(apt.FILES)


def test_emulated_key_bound_by_sha1_is_refused_by_debian_13_and_said(
    boxes: Mapping[str, Box], tmp_path: Path
) -> None:
    weak = SigningKey.make(tmp_path / "gpg", weak=True)
    try:
        held = {name: emulate(weak, [name]) for name in TRIED}
    finally:
        weak.close()
    for name, box in boxes.items():
        kept = dict(box.hub.files)
        try:
            box.hub.files.update(held[name].files)
            own = Box(box.machine, box.system, box.hub, held[name])
            if name == "debian12":
                assert own.repository()["changed"] is True
                continue
            said, hint = refusal(own)
            assert said == "REPOSITORY/: this system's apt refuses NVIDIA's key, which is bound by SHA-1"
            assert hint == (
                "take the distribution's own packages (--set nvidia_driver_route=debian, "
                "--set cuda_toolkit_route=debian), or NVIDIA's repository for this very release"
            )
        finally:
            box.hub.files.clear()
            box.hub.files.update(kept)
            box.repository(name="")
            box.machine.run("sh", "-c", "rm -f /var/lib/apt/lists/127.0.0.1*")
