"""Vector instructions, limits on the processor, and the clock."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import Reading
from provisioner.facts import Cpu
from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import Row, absent, ask, broken, case, check, hidden

ON_GPU = Needs(profile="autoglm", gpu=True)
OFFLINE = Needs(profile="autoglm", downloads=False)
EIGHT = Needs(profile="autoglm", cores=8)
ARM = {"os": {"arch": "aarch64"}}
LXC = {"os": {"container": "lxc"}}
NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
DAY = 86400.0
SLOW = "The processor does not have AVX2: models on it are slow"
DEAD = "The processor does not have AVX: models on it do not start"


def vectors(*names: str, **more: Any) -> dict[str, Any]:
    return {"processor": {"instructions": names}, **more}


def may(usable: Any, quota: Any = None, cores: int = 8, threads: int = 16, **more: Any) -> dict[str, Any]:
    said = {"usable": usable, "quota": absent("no quota") if quota is None else quota}
    return {"processor": said, "facts": {"cpu": Cpu("a processor", cores, threads)}, **more}


def clock(package: float | None = None, controller: float | None = None, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"now": NOON}
    if package is not None:
        said["newest_package"] = NOON + package
    if controller is not None:
        said["controller"] = NOON + controller
    return {"clock": said, **more}


WSL = {"os": {"wsl": True}}


def of_windows(off: float, **more: Any) -> dict[str, Any]:
    chip = Reading("read", NOON + off, source="/sys/class/rtc/rtc0/since_epoch")
    return {"clock": {"now": NOON, "controller": chip}, **WSL, **more}


EARLY = "The clock says 2027-01-15 12:00 UTC, and packages were installed later:"

ROWS = [
    Row("enough", "cpu.instructions", vectors("avx", "avx2", "fma"), "pass: The processor has AVX2"),
    Row(
        "more",
        "cpu.instructions",
        vectors("avx", "avx2", "avx512f", "avx512_vnni", "amx_bf16"),
        "pass info: The processor has AVX2, AVX-512, AVX-512 VNNI and AMX for bfloat16",
    ),
    Row("old", "cpu.instructions", vectors("avx"), f"warn warning: {SLOW}", actor="owner"),
    Row(
        "old, model on a GPU",
        "cpu.instructions",
        vectors("avx", needs=ON_GPU),
        f"pass info: {SLOW}",
    ),
    Row("very old", "cpu.instructions", vectors(), f"warn high: {DEAD}"),
    Row(
        "a plain guest",
        "cpu.instructions",
        vectors(sight={"virtualization": "kvm"}),
        f"warn high: {DEAD}",
        actor="host",
    ),
    Row("Arm", "cpu.instructions", vectors("asimd", **ARM), "pass: The processor has Advanced SIMD"),
    Row(
        "from the kernel's flags",
        "cpu.instructions",
        {"facts": {"cpu": Cpu("a processor", 4, 8, ("sse2", "avx", "avx2"))}},
        "pass: The processor has AVX2",
    ),
    Row(
        "unread",
        "cpu.instructions",
        {"processor": {"instructions": hidden("CPUID could not be called")}},
        "unknown: Which vector instructions the processor has: CPUID could not be called",
    ),
    Row("all", "cpu.limits", may(16), "pass: Programs may use the whole processor"),
    Row(
        "no more time than there is",
        "cpu.limits",
        may(16, 32.0),
        "pass: Programs may use the whole processor",
    ),
    Row(
        "half of the threads",
        "cpu.limits",
        may(8),
        "warn warning: Programs here may use 4 of 8 cores",
        actor="owner",
    ),
    Row(
        "a quota",
        "cpu.limits",
        may(16, 2.5),
        "warn warning: Programs here may use 2.5 of 8 cores, and most models want at least 4 cores",
    ),
    Row(
        "a quota under a profile's minimum",
        "cpu.limits",
        may(16, 2.5, needs=EIGHT, os={"container": "docker"}),
        "fail blocking: Programs here may use 2.5 of 8 cores, and autoglm needs 8 cores",
        actor="host",
    ),
    Row(
        "a machine that is too small anyhow",
        "cpu.limits",
        may(2, cores=4, threads=4, needs=EIGHT),
        "warn warning: Programs here may use 2 of 4 cores, and autoglm needs 8 cores",
    ),
    Row(
        "unread",
        "cpu.limits",
        may(hidden()),
        "unknown: How many processors programs may use: only root may read it",
    ),
    Row(
        "senseless quota",
        "cpu.limits",
        may(16, broken("cpu.max makes no sense")),
        "error: How much of the processors' time programs may use: cpu.max makes no sense",
    ),
    Row("right", "clock.sane", clock(-30 * DAY), "pass: The clock says 2027-01-15 12:00 UTC"),
    Row("packages of this minute", "clock.sane", clock(60), "pass: The clock says 2027-01-15 12:00 UTC"),
    Row(
        "hours behind",
        "clock.sane",
        clock(7200),
        f"warn warning likely: {EARLY} 2027-01-15 14:00 UTC",
    ),
    Row(
        "years behind",
        "clock.sane",
        clock(400 * DAY),
        f"fail blocking likely: {EARLY} 2028-02-19 12:00 UTC",
        actor="system",
    ),
    Row(
        "behind its packages, and right by the machine that asks",
        "clock.sane",
        clock(400 * DAY, 5),
        f"warn warning heuristic: {EARLY} 2028-02-19 12:00 UTC",
    ),
    Row(
        "behind its packages and the machine that asks",
        "clock.sane",
        clock(400 * DAY, 400 * DAY),
        f"fail blocking likely: {EARLY} 2028-02-19 12:00 UTC",
    ),
    Row(
        "years behind, nothing to fetch",
        "clock.sane",
        clock(400 * DAY, needs=OFFLINE),
        f"warn warning likely: {EARLY} 2028-02-19 12:00 UTC",
    ),
    Row(
        "ahead of the machine that asks",
        "clock.sane",
        clock(-1.0, -3 * DAY),
        "fail blocking likely: The clock says 2027-01-15 12:00 UTC, 3 days off that of the machine that asks",
    ),
    Row(
        "WSL that slept, by the chip that Windows shows it",
        "clock.sane",
        of_windows(9.5 * 3600),
        "fail blocking likely: The clock says 2027-01-15 12:00 UTC, 10 hours behind that of Windows",
        actor="system",
    ),
    Row(
        "WSL that slept, and nothing is fetched",
        "clock.sane",
        of_windows(9.5 * 3600, needs=OFFLINE),
        "warn warning likely: The clock says 2027-01-15 12:00 UTC, 10 hours behind that of Windows",
    ),
    Row(
        "WSL that slept for minutes",
        "clock.sane",
        of_windows(600),
        "warn warning likely: The clock says 2027-01-15 12:00 UTC, 10 minutes behind that of Windows",
    ),
    Row(
        "WSL that slept, by the machine that asks",
        "clock.sane",
        clock(None, 3 * DAY, **WSL),
        "fail blocking likely: "
        "The clock says 2027-01-15 12:00 UTC, 3 days behind that of the machine that asks",
    ),
    Row(
        "WSL that is ahead",
        "clock.sane",
        of_windows(-7201),
        "fail blocking likely: The clock says 2027-01-15 12:00 UTC, 2 hours ahead of that of Windows",
    ),
    Row("WSL that is right", "clock.sane", of_windows(59), "pass: The clock says 2027-01-15 12:00 UTC"),
    Row("hours off, elsewhere", "clock.sane", clock(None, 7200), "pass: The clock says 2027-01-15 12:00 UTC"),
    Row("a few seconds off", "clock.sane", clock(None, 5), "pass: The clock says 2027-01-15 12:00 UTC"),
    Row(
        "nothing to compare with",
        "clock.sane",
        {"clock": {"now": NOON, "newest_package": absent("no package database is known here")}},
        "unknown: Whether the clock is right: no package database is known here",
    ),
    Row(
        "unread",
        "clock.sane",
        {"clock": {"now": hidden("a recorded tree has no clock")}},
        "unknown: What time this machine believes it is: a recorded tree has no clock",
    ),
    Row(
        "kept",
        "clock.synchronized",
        {"clock": {"synchronized": True}},
        "pass: The clock is kept right over the network",
    ),
    Row(
        "drifting",
        "clock.synchronized",
        {"clock": {"synchronized": False}},
        "warn warning: Nobody keeps the clock right: it drifts",
        actor="system",
    ),
    Row(
        "unread",
        "clock.synchronized",
        {"clock": {"synchronized": hidden()}},
        "unknown: Whether the clock is kept right: only root may read it",
    ),
    Row(
        "container",
        "clock.synchronized",
        {"clock": {"synchronized": False}, **LXC},
        "not_applicable: Whether the clock is kept right: "
        "not seen from inside a container: run this on the machine that runs it",
    ),
    Row(
        "WSL",
        "clock.synchronized",
        {"clock": {"synchronized": False}, "os": {"wsl": True}},
        "not_applicable: Whether the clock is kept right: Windows keeps the clock of WSL: see clock.sane",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_system_is_judged(row: Row) -> None:
    check(row)


@pytest.mark.parametrize("now", [-1e300, 1e300, float("inf"), float("nan"), 0.0])
def test_a_clock_that_no_calendar_has_is_still_said(now: float) -> None:
    (found,) = ask("clock.sane", case(clock={"now": now, "newest_package": NOON}))
    assert found.summary


def test_a_clock_that_drifts_has_a_fix() -> None:
    (found,) = ask("clock.synchronized", case(clock={"synchronized": False}))
    assert found.remedy is not None
    assert found.remedy.fix == "time-sync"


def test_without_systemd_no_clock_is_mended_with_its_commands() -> None:
    for rule, clock in (
        ("clock.synchronized", {"synchronized": False}),
        ("clock.sane", {"now": 1.0, "controller": 2e9}),
    ):
        (found,) = ask(rule, case(clock=clock, os={"systemd": False}))
        assert found.remedy is not None
        assert found.remedy.fix == ""
        assert "a time service (chrony, say)" in found.remedy.steps[0]
        assert "timedatectl" not in " ".join(found.remedy.steps)


def test_the_clock_of_wsl_is_mended_by_what_works_there() -> None:
    (found,) = ask("clock.sane", case(**of_windows(7200)))
    assert found.remedy is not None
    # Time services leave WSL out (ConditionVirtualization), so none is offered.
    assert (found.remedy.fix, found.remedy.steps[:2]) == (
        "",
        (
            "Take over Windows' time: `sudo hwclock -s`.",
            "Where that does not help: `wsl --shutdown` in Windows, and start again.",
        ),
    )
