"""The repository on a box: what is written, tried and said; apt and its servers are emulated."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner.target.errors import TargetError
from provisioner.target.system.repository import apt, keyring, pins
from provisioner.target.system.repository.openpgp import dearmoured

from .keyrings import BOTH, FINGERPRINT, OTHER_ARMOURED
from .managed import BASE, CUDA_LIST, KEY, LISTS, SOURCE, THEIRS, URL, AptBox


@pytest.fixture
def box(tmp_path: Path) -> AptBox:
    return AptBox(tmp_path)


ALL = {apt.KEY: 0o644, apt.SOURCES: 0o644, apt.PINS: 0o644}


def test_a_fresh_box_gets_three_files_after_they_were_tried(box: AptBox) -> None:
    previous = os.umask(0o077)
    try:
        assert box.up() == {"changed": True, "files": list(apt.FILES), "uses": None}
    finally:
        os.umask(previous)
    assert box.ours() == ALL
    assert box.path("/etc/apt/keyrings").stat().st_mode & 0o777 == 0o755
    assert box.path(apt.KEY).read_bytes() == KEY
    assert box.read(apt.SOURCES) == SOURCE
    assert box.read(apt.PINS) == pins.text(driver=False, wsl=False, ours=True)
    ((tried, key),) = box.tried
    assert re.sub(r"Signed-By: .*", f"Signed-By: {apt.KEY}", tried) == SOURCE
    assert key == KEY
    assert box.got == [keyring.Wanted(f"{URL}cuda-keyring_1.1-1_all.deb", "a" * 64, FINGERPRINT)]


def test_a_second_run_asks_nobody(box: AptBox) -> None:
    box.up()
    box.got.clear()
    box.tried.clear()
    assert box.up() == {"changed": False, "files": list(apt.FILES), "uses": None}
    assert (box.got, box.tried) == ([], [])


def test_check_mode_changes_and_asks_nothing(box: AptBox) -> None:
    assert box.up(check=True) == {"changed": True, "files": list(apt.FILES), "uses": None}
    assert (box.ours(), box.got, box.tried) == ({}, [], [])
    box.up()
    box.got.clear()
    assert box.up(check=True)["changed"] is False
    assert box.up(check=True, mirror="http://mirror.invalid")["changed"] is True
    assert box.up(check=True, name="")["changed"] is True
    assert (box.ours(), box.got) == (ALL, [])


def test_a_look_says_what_would_be_there(box: AptBox) -> None:
    assert box.up(look=True) == {"changed": False, "files": list(apt.FILES), "uses": None}
    assert box.up(look=True, name="") == {"changed": False, "files": [], "uses": None}
    assert box.ours() == {}


@pytest.mark.parametrize(
    ("damage", "fetches", "tries"),
    [
        (lambda box: box.path(apt.KEY).unlink(), 1, 1),
        (lambda box: box.path(apt.KEY).write_bytes(BOTH), 1, 1),
        (lambda box: box.path(apt.KEY).write_bytes(dearmoured(OTHER_ARMOURED)), 1, 1),
        (lambda box: box.path(apt.KEY).chmod(0o600), 0, 0),
        (lambda box: box.path(apt.SOURCES).unlink(), 0, 1),
        (lambda box: box.write(apt.SOURCES, SOURCE.replace("Types: deb", "Types: deb\nTrusted: yes")), 0, 1),
        (lambda box: box.write(apt.PINS, ""), 0, 0),
        (lambda box: (box.path(apt.PINS).unlink(), box.path(apt.PINS).symlink_to("/dev/null")), 0, 0),
    ],
    ids=[
        "no key",
        "more keys",
        "another key",
        "mode of the key",
        "no source",
        "a source that trusts",
        "pins",
        "link",
    ],
)
def test_what_was_changed_is_put_right(
    box: AptBox, damage: Callable[[AptBox], object], fetches: int, tries: int
) -> None:
    box.up()
    box.got.clear()
    box.tried.clear()
    damage(box)
    assert box.up(check=True)["changed"] is True
    assert box.up()["changed"] is True
    assert (len(box.got), len(box.tried)) == (fetches, tries)
    assert box.ours() == ALL
    assert (box.path(apt.KEY).read_bytes(), box.read(apt.SOURCES)) == (KEY, SOURCE)
    assert not box.path(apt.PINS).is_symlink()
    assert box.up()["changed"] is False


def test_lists_that_are_gone_are_read_again(box: AptBox) -> None:
    box.up()
    box.path(f"{LISTS}Packages").unlink()
    assert box.up()["changed"] is False
    assert len(box.tried) == 2


WORDS = {one["means"]: one for one in yaml.safe_load(Path(__file__).with_name("words.yml").read_text())}


@pytest.mark.parametrize("what", WORDS)
@pytest.mark.parametrize("rc", [100, 0])
def test_a_repository_that_cannot_be_used_is_named_and_leaves_nothing(
    box: AptBox, what: str, rc: int
) -> None:
    box.answer = (rc, WORDS[what]["lines"])
    with pytest.raises(TargetError) as caught:
        box.up()
    assert (caught.value.message, caught.value.hint) == (f"{URL}: {what}", WORDS[what]["hint"])
    assert box.ours() == {}


def test_what_apt_only_mentions_is_no_failure(box: AptBox) -> None:
    box.answer = (
        0,
        [f"W: {URL}InRelease: Policy will reject signature within a year, see --audit for details"],
    )
    assert box.up()["changed"] is True


def test_an_older_source_stays_while_the_new_one_cannot_be_used(box: AptBox) -> None:
    box.up()
    box.answer = (100, ["E: Failed to fetch http://h/InRelease  404  Not Found"])
    with pytest.raises(TargetError):
        box.up(mirror="http://mirror.invalid")
    assert (box.ours(), box.read(apt.SOURCES)) == (ALL, SOURCE)


def test_apt_that_is_busy_is_waited_for(box: AptBox, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    busy = (100, ["E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"])
    box.answer = busy

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        box.answer = (0, []) if len(slept) == 3 else busy

    monkeypatch.setattr("time.sleep", sleep)
    assert box.up()["changed"] is True
    assert slept == [2.0, 2.0, 2.0]


def test_apt_that_is_busy_for_ever_is_said(box: AptBox, monkeypatch: pytest.MonkeyPatch) -> None:
    box.answer = (100, ["E: Could not get lock /var/lib/apt/lists/lock"])
    ticks = iter(range(0, 10_000, 100))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    box.write(CUDA_LIST, THEIRS)
    with pytest.raises(TargetError, match="apt has been busy for 10 minutes"):
        apt.refresh(box.host, URL, CUDA_LIST, {}, clock=lambda: float(next(ticks)))


@pytest.mark.parametrize(
    "text", [THEIRS, THEIRS.replace("https", "http").replace("/ /", " /")], ids=["same", "almost"]
)
def test_one_that_is_there_already_is_used_and_not_doubled(box: AptBox, text: str) -> None:
    box.write(CUDA_LIST, text)
    assert box.up() == {"changed": False, "files": [], "uses": CUDA_LIST}
    assert box.ours() == {}
    assert (box.got, box.tried) == ([], [(text, b"")])
    assert box.up(look=True) == {"changed": False, "files": [], "uses": CUDA_LIST}


def test_one_that_comes_later_takes_the_place_of_ours(box: AptBox) -> None:
    box.up()
    box.write(CUDA_LIST, THEIRS)
    assert box.up(check=True)["changed"] is True
    assert box.ours() == ALL
    assert box.up() == {"changed": True, "files": [], "uses": CUDA_LIST}
    assert box.ours() == {}


def test_one_that_cannot_be_used_is_named_with_its_file(box: AptBox) -> None:
    box.write(CUDA_LIST, THEIRS)
    box.answer = (100, WORDS["its index is not signed by NVIDIA's key"]["lines"])
    with pytest.raises(TargetError) as caught:
        box.up()
    assert caught.value.message == f"{URL} (of {CUDA_LIST}): its index is not signed by NVIDIA's key"
    assert caught.value.hint == f"correct {CUDA_LIST}, or remove it: then provision brings its own"


@pytest.mark.parametrize(
    "text", [f"# {THEIRS}", THEIRS.replace("debian12", "debian11"), THEIRS.replace("x86_64", "sbsa")]
)
def test_others_are_no_reason_to_do_without_ours(box: AptBox, text: str) -> None:
    box.write(CUDA_LIST, text)
    assert box.up()["files"] == list(apt.FILES)


WSL = {
    "name": "wsl-ubuntu",
    "url": f"{BASE}/wsl-ubuntu/x86_64/",
    "keyring": {"url": f"{BASE}/wsl-ubuntu/x86_64/cuda-keyring_1.1-1_all.deb", "sha256": ""},
}


def in_wsl(box: AptBox) -> None:
    box.write("/proc/sys/kernel/osrelease", "6.6.87.2-microsoft-standard-WSL2\n")
    box.write("/dev/dxg", "")


def test_inside_wsl_drivers_are_barred_whoever_offers_them(box: AptBox) -> None:
    in_wsl(box)
    assert box.up(**WSL)["files"] == list(apt.FILES)
    assert box.read(apt.PINS) == pins.text(driver=False, wsl=True, ours=True)


def test_inside_wsl_they_are_barred_beside_somebodys_own_too(box: AptBox) -> None:
    in_wsl(box)
    box.write(CUDA_LIST, THEIRS.replace("debian12", "wsl-ubuntu"))
    assert box.up(**WSL) == {"changed": True, "files": [apt.PINS], "uses": CUDA_LIST}
    assert box.read(apt.PINS) == pins.text(driver=False, wsl=True, ours=False)
    assert list(box.ours()) == [apt.PINS]
    assert box.up(**WSL)["changed"] is False


def test_a_driver_of_its_own_is_let_in_when_asked(box: AptBox) -> None:
    box.up(driver=True)
    assert box.read(apt.PINS) == pins.text(driver=True, wsl=False, ours=True)


@pytest.mark.parametrize("mirror", ["http://mirror.invalid/nvidia", "http://mirror.invalid/nvidia/"])
def test_a_mirror_stands_for_nvidias_server(box: AptBox, mirror: str) -> None:
    box.up(mirror=mirror)
    at = "http://mirror.invalid/nvidia/compute/cuda/repos/debian12/x86_64/"
    assert f"URIs: {at}\n" in box.read(apt.SOURCES)
    assert box.got[0].url == f"{at}cuda-keyring_1.1-1_all.deb"


def test_a_login_is_not_for_everybody_to_read(box: AptBox) -> None:
    box.up(mirror="https://me:secret@mirror.invalid")
    assert box.ours() == {**ALL, apt.SOURCES: 0o600}
    assert "me:secret@" in box.read(apt.SOURCES)


def test_no_name_takes_ours_away(box: AptBox) -> None:
    box.up()
    assert box.up(name="") == {"changed": True, "files": [], "uses": None}
    assert box.ours() == {}
    assert box.up(name="") == {"changed": False, "files": [], "uses": None}


def test_a_source_is_the_last_to_come_and_the_first_to_go(
    box: AptBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real, gone = os.replace, os.unlink

    def replace(source: str, target: str) -> None:
        order.append(f"+{target.removeprefix(str(box.root))}")
        real(source, target)

    def unlink(path: str) -> None:
        order.append(f"-{path.removeprefix(str(box.root))}")
        gone(path)

    monkeypatch.setattr("os.replace", replace)
    box.up()
    monkeypatch.setattr("provisioner.target.probe.receipt.os.unlink", unlink)
    box.up(name="")
    monkeypatch.undo()
    kept = [step for step in order if not step.endswith("-new")]
    assert kept == [
        f"+{apt.KEY}", f"+{apt.PINS}", f"+{apt.SOURCES}", f"-{apt.SOURCES}", f"-{apt.KEY}", f"-{apt.PINS}"
    ]  # fmt: skip


REFUSED = [
    ({"url": ""}, "nvidia_repository_url is no address: empty", "give it as https://HOST/…"),
    (
        {"url": "ftp://h/debian12/x86_64/"},
        "nvidia_repository_url is no address: ftp://h/debian12/x86_64/",
        None,
    ),
    ({"mirror": "mirror.invalid"}, "nvidia_repository_mirror is no address: mirror.invalid", None),
    (
        {"mirror": "http://h/\nTrusted: yes"},
        "nvidia_repository_mirror is no address: http://h/\nTrusted: yes",
        None,
    ),
    ({"keyring": {"url": "", "sha256": "a"}}, "nvidia_repository_keyring_url is no address: empty", None),
    (
        {"arch": "aarch64"},
        f"nvidia_repository_url is not of debian12 for aarch64: {URL}",
        "correct nvidia_repository_url, nvidia_repository_name or nvidia_repository_arch",
    ),
    (
        {"keyring": {"url": URL}, "fingerprint": ""},
        "nothing says whose key debian12 has to have",
        "set nvidia_repository_fingerprint, or nvidia_repository_keyring_sha256",
    ),
    (
        {"url": "https://h/debian12/x86_64/", "mirror": "http://m"},
        "nvidia_repository_url has no /compute/cuda/repos/ in it, so no mirror can stand for the rest",
        "leave nvidia_repository_mirror out, or name the repository as NVIDIA does",
    ),
    ({**WSL, "driver": True}, "in WSL the driver is Windows' own", "install NVIDIA's driver in Windows"),
]


@pytest.mark.parametrize(("changes", "message", "hint"), REFUSED)
def test_what_makes_no_sense_is_refused(
    box: AptBox, changes: dict[str, Any], message: str, hint: str | None
) -> None:
    with pytest.raises(TargetError) as caught:
        box.up(**changes)
    assert (caught.value.message, caught.value.hint) == (message, hint or "give it as https://HOST/…")
    assert (box.ours(), box.got) == ({}, [])


def test_inside_wsl_no_repository_of_a_plain_system_is_used(box: AptBox) -> None:
    in_wsl(box)
    with pytest.raises(TargetError, match="debian12 is no repository for WSL"):
        box.up()


def test_a_box_with_neither_manager_is_told_so(tmp_path: Path) -> None:
    box = AptBox(tmp_path, "pacman-like-dnf")
    with pytest.raises(TargetError, match="neither apt nor dnf is here"):
        box.up()


def test_a_disk_that_refuses_is_named(box: AptBox) -> None:
    box.write("/etc/apt/keyrings", "a file in its place")
    with pytest.raises(TargetError, match="/etc/apt/keyrings"):
        box.up()
