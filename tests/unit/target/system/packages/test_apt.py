from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import dpkg
from provisioner.target.probe.box import Box
from provisioner.target.runtime.process import Done
from provisioner.target.system.packages.apt import Apt
from provisioner.target.system.packages.base import (
    Change,
    NotFetched,
    Package,
    SetupFailed,
    UnknownPackage,
    Wanted,
)

from .test_dpkg_state import EXTENDED, STATUS, entry

LOCK = "/var/lib/dpkg/lock-frontend"
INST = "Inst small (2 Debian:13/stable [all])"
URI = "'http://m/small_2_all.deb' small_2_all.deb 1000 SHA256:00"


class Emulated:
    """apt-get, apt-mark and dpkg that say what a test has them say, and remember how they were asked."""

    def __init__(self) -> None:
        self.says: dict[str, tuple[int, str]] = {
            "--simulate": (0, INST),
            "--print-uris": (
                0,
                f"{URI}\nAfter this operation, 4096 B of additional disk space will be used.",
            ),
        }
        self.asked: list[str] = []
        self.env: Mapping[str, str] = {}
        self.status = ""

    def __call__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        on_line: Callable[[str], bool] | None = None,
        cwd: str | None = None,
    ) -> Done:
        line = " ".join(argv)
        self.asked.append(line)
        self.env = env
        for word in argv:
            if word.startswith("Dir::State::status="):
                self.status = Path(word.partition("=")[2]).read_text(encoding="utf-8")
        rc, text = next((said for part, said in self.says.items() if part in line), (0, ""))
        for one in text.splitlines():
            if on_line is not None:
                on_line(one)
        return Done(rc, text.splitlines())


@pytest.fixture
def emulated() -> Emulated:
    return Emulated()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    for path, data in {
        "/var/lib/dpkg/status": STATUS.replace(b"half-configured", b"installed"),
        "/var/lib/apt/extended_states": EXTENDED,
        "/var/lib/apt/lists/m_dists_trixie_InRelease": b"",
        "/etc/apt/sources.list": b"deb http://m/debian trixie main\n",
        "/proc/locks": b"",
        LOCK: b"",
    }.items():
        target = tmp_path / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return Box(str(tmp_path))


@pytest.fixture
def apt(box: Box, emulated: Emulated) -> Apt:
    ticks = iter(range(1000))
    return Apt(3, {}, box, emulated, clock=lambda: next(ticks), sleep=lambda seconds: None)


def test_no_question_can_be_asked_of_anybody(apt: Apt, emulated: Emulated) -> None:
    apt.apply(Wanted(install=["small"]), Change({"small": "2"}, {}, {}))
    said = emulated.asked[-1]
    for part in (
        "apt-get -q -y ",
        "DPkg::Lock::Timeout=3",
        "Dpkg::Options::=--force-confdef",
        "Dpkg::Options::=--force-confold",
        "--no-install-recommends",
        "--no-remove",
    ):
        assert part in said
    wanted = {
        "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1",
        "NEEDRESTART_SUSPEND": "1", "APT_LISTCHANGES_FRONTEND": "none",
    }  # fmt: skip
    assert {name: emulated.env.get(name) for name in wanted} == wanted


def test_the_environment_is_the_systems(
    box: Box, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("PATH", "/usr/bin")
    Apt(3, {"no_proxy": ["a", ".corp"]}, box, emulated).hold(["libc6"], True)
    assert "PYTHONPATH" not in emulated.env
    assert emulated.env["PATH"].split(":")[:3] == ["/usr/bin", "/usr/local/sbin", "/usr/sbin"]
    assert emulated.env["no_proxy"] == "a,.corp"


def test_a_simulation_has_names_and_sizes(apt: Apt, emulated: Emulated) -> None:
    assert apt.simulate(Wanted(install=["small=2"], remove=["data"])) == Change(
        {"small": "2"}, {}, {}, 1000, 4096
    )
    assert [line.partition("Acquire::Retries=2 ")[2] for line in emulated.asked] == [
        "--simulate --no-install-recommends --purge install small=2 data-",
        "--print-uris --no-install-recommends --purge install small=2 data-",
    ]


def test_configuration_that_is_to_stay_is_not_purged_and_that_of_others_is(box: Box) -> None:
    class Removing(Emulated):
        def __call__(self, argv: Sequence[str], *args: Any, **kwargs: Any) -> Done:
            if "--simulate" not in argv:
                text = Path(box.path(dpkg.STATUS)).read_bytes()
                for was in (b"hold ok installed", b"install ok unpacked"):
                    text = text.replace(was, b"deinstall ok config-files")
                Path(box.path(dpkg.STATUS)).write_bytes(text)
            return super().__call__(argv, *args, **kwargs)

    status = STATUS.replace(b"install ok half-configured", b"install ok unpacked")
    Path(box.path(dpkg.STATUS)).write_bytes(status)
    emulated = Removing()
    emulated.says = {"--simulate": (0, "Remv broken [5]\nRemv held [1:2-3]")}
    asked = Wanted(remove=["broken", "held", "left"], leave=["broken"])
    Apt(3, {}, box, emulated).apply(asked, Change({}, {}, {"broken": "5", "held": "1:2-3"}))
    assert [
        line.partition("Acquire::Retries=2 ")[2] for line in emulated.asked if "--simulate" not in line
    ] == [
        "--no-install-recommends --fix-broken install broken- held- left- -o APT::Status-Fd=3",
        "--purge install held- left-",
    ]


def test_holds_of_ones_own_are_hidden_from_apt_and_those_of_others_are_not(
    apt: Apt, emulated: Emulated
) -> None:
    apt.simulate(Wanted(install=["small"], release=["libc6", "held"]))
    assert "Status: hold ok" not in emulated.status
    apt.simulate(Wanted(install=["small"], release=["libc6"]))
    assert "Dir::State::status" not in emulated.asked[-1]
    assert "apt-mark" not in " ".join(emulated.asked)


def test_an_unknown_name_gets_its_neighbour(apt: Apt, emulated: Emulated) -> None:
    emulated.says = {
        "--simulate": (100, "E: Unable to locate package nvidia-drivr"),
        "pkgnames nvi": (0, "nvidia-driver\nnvidia-smi"),
    }
    with pytest.raises(UnknownPackage) as refusal:
        apt.simulate(Wanted(install=["nvidia-drivr"]))
    assert refusal.value.hint == (
        "did you mean nvidia-driver? Otherwise correct the name, or add the source (or the component) that"
        " has it"
    )


def test_who_holds_a_lock_is_named_in_the_end(apt: Apt, box: Box, emulated: Emulated) -> None:
    seen = Path(box.path(LOCK)).stat()
    where = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    Path(box.path("/proc/locks")).write_text(f"1: POSIX  ADVISORY  WRITE 4711 {where} 0 EOF\n")
    Path(box.path("/proc/4711")).mkdir()
    Path(box.path("/proc/4711/comm")).write_text("unattended-upgr\n")
    told: list[str] = []
    with pytest.raises(TargetError) as refusal:
        apt.wait(lambda what, done, total: told.append(what))
    assert refusal.value.message == "after 3 s apt is still locked by process 4711 (unattended-upgr)"
    assert set(told) == {"waiting for process 4711 (unattended-upgr), which holds apt's lock"}
    for touch in (
        apt.refresh,
        lambda: apt.hold(["libc6"], True),
        lambda: apt.fetch(Wanted(install=["small"]), Change({}, {}, {})),
        lambda: apt.apply(Wanted(install=["small"]), Change({}, {}, {})),
    ):
        with pytest.raises(TargetError, match="is still locked by process 4711"):
            touch()
    assert emulated.asked == []


def test_what_was_not_agreed_is_not_done(apt: Apt, emulated: Emulated) -> None:
    emulated.says["--simulate"] = (0, f"{INST}\nRemv data [4]")
    with pytest.raises(TargetError) as refusal:
        apt.apply(Wanted(install=["small"]), Change({"small": "2"}, {}, {}))
    assert refusal.value.message == "somebody else has changed packages, or apt's sources, meanwhile"
    assert all("--simulate" in line for line in emulated.asked)
    apt.apply(Wanted(install=["small"]), Change({"small": "2"}, {}, {"data": "4"}))
    assert "--no-remove" not in emulated.asked[-1]


def test_what_apt_does_is_told_as_it_goes(apt: Apt, emulated: Emulated) -> None:
    told: list[Any] = []

    def hear(what: str, done: int | None = None, total: int | None = None) -> None:
        told.append((what, done, total))

    emulated.says["--download-only"] = (0, "dlstatus:1:25.0:Retrieving file 1 of 1 (1s remaining)")
    apt.fetch(Wanted(install=["small"]), Change({"small": "2"}, {}, {}, 1000), hear)
    emulated.says["--no-remove"] = (
        0,
        "Loading new small-2 DKMS files...\npmstatus:small:50.0:Configuring small",
    )
    apt.apply(Wanted(install=["small"]), Change({"small": "2"}, {}, {}), hear)
    assert told == [
        ("fetching 1.0 kB of packages", 250, 1000),
        ("building kernel modules for small", None, None),
        ("setting up packages (50 %)", None, None),
    ]


def test_what_does_not_come_or_not_go_is_told_apart(apt: Apt, emulated: Emulated) -> None:
    emulated.says["--download-only"] = (100, "E: Failed to fetch http://m/s.deb  404  Not Found")
    with pytest.raises(NotFetched):
        apt.fetch(Wanted(install=["small"]), Change({"small": "2"}, {}, {}, 1000))
    emulated.says["--no-remove"] = (
        100,
        "dpkg: error processing package small (--configure):\n it broke",
    )
    with pytest.raises(SetupFailed) as failure:
        apt.apply(Wanted(install=["small"]), Change({"small": "2"}, {}, {}))
    assert (failure.value.message, failure.value.packages) == (
        "small could not be set up: it broke",
        ["small"],
    )


def test_only_what_is_half_way_is_repaired(apt: Apt, box: Box, emulated: Emulated) -> None:
    assert not apt.repair()
    assert emulated.asked == []
    Path(box.path("/var/lib/dpkg/status")).write_bytes(STATUS)
    assert apt.repair()
    assert emulated.asked == ["dpkg --force-confdef --force-confold --configure -a"]
    apt.simulate(Wanted(install=["small"]))
    assert "--fix-broken" in emulated.asked[-1]


def test_a_journal_alone_is_something_to_repair(apt: Apt, box: Box) -> None:
    journal = Path(box.path("/var/lib/dpkg/updates"))
    journal.mkdir()
    (journal / "0001").write_text(entry("libc6", "2.42"))
    assert apt.installed()["libc6"].version == "2.42"
    assert apt.repair()


def test_a_copy_of_the_state_says_what_was_installed(apt: Apt, box: Box, tmp_path: Path) -> None:
    journal = Path(box.path("/var/lib/dpkg/updates"))
    journal.mkdir()
    (journal / "0001").write_text(entry("libc6", "2.42"))
    then = apt.installed()
    copy = tmp_path / "copy"
    copy.mkdir()
    apt.copy_of_state(str(copy))
    Path(box.path("/var/lib/dpkg/status")).write_text(entry("dpkg", "2"))
    Path(box.path("/var/lib/apt/extended_states")).unlink()
    (journal / "0001").unlink()
    assert apt.installed() == {"dpkg": Package("2", "amd64")}
    assert apt.read_state(str(copy)) == then
    assert then["libc6"].version == "2.42"
    assert then["data"].auto


@pytest.mark.parametrize("case", ["fresh", "none", "old", "new source", "same source"])
def test_lists_are_stale_when_there_is_a_reason(apt: Apt, box: Box, case: str) -> None:
    lists, sources = Path(box.path("/var/lib/apt/lists")), Path(box.path("/etc/apt/sources.list.d"))
    ahead = time.time() + 60
    os.utime(lists, (ahead, ahead))
    why = None
    if case == "none":
        (lists / "m_dists_trixie_InRelease").unlink()
        why = "apt has no lists yet"
    elif case == "old":
        os.utime(lists, (time.time() - 90000,) * 2)
        why = "apt's sources have changed since its lists were read"
    elif case == "new source":
        os.utime(lists, (time.time() - 5,) * 2)
        sources.mkdir()
        why = "apt's sources have changed since its lists were read"
    assert apt.stale() == why


def test_lists_are_old_after_a_day(apt: Apt, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Path(box.path("/var/lib/apt/lists"))
    os.utime(lists, (time.time() + 60,) * 2)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 90000)
    assert apt.stale() == "apt's lists are older than a day"


def test_a_third_partys_broken_source_is_told_and_stops_nobody(
    apt: Apt, box: Box, emulated: Emulated
) -> None:
    emulated.says = {" update": (100, "E: The repository 'http://s ./ InRelease' is not signed.")}
    assert apt.refresh() == ["http://s ./ InRelease: it is not signed by a key that this machine trusts"]
    emulated.says = {" update": (100, "E: The list of sources could not be read.")}
    with pytest.raises(TargetError, match="apt cannot read its lists: The list of sources could not be read"):
        apt.refresh()


def test_a_mark_that_failed_is_said(apt: Apt, emulated: Emulated) -> None:
    apt.hold([], True)
    assert emulated.asked == []
    emulated.says = {"apt-mark": (100, "E: Can't select installed package")}
    with pytest.raises(TargetError, match="apt-mark could not hold libc6: E: Can't select"):
        apt.hold(["libc6"], True)


def test_room_is_asked_where_archives_and_files_go(apt: Apt, box: Box) -> None:
    assert apt.room(Change({"small": "2"}, {}, {}, 1000, 5000)) == [
        (box.path("/var/cache/apt/archives"), 1000),
        (box.path("/usr"), 5000),
    ]
    assert apt.room(Change({}, {}, {"small": "2"}, 0, -5000))[1] == (box.path("/usr"), 0)
