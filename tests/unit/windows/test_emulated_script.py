"""The script itself, in a stand-in for PowerShell, on emulated computers: it says and does what
the loop in Python does there.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.windows.decide import facts_of, judge
from provisioner.windows.table import table
from scripts.windows_script import SCRIPT
from tests.powershell.shell import EDITIONS
from tests.powershell.values import Table
from tests.unit.windows.emulated.box import CONFIG, ROOT, STATE, Box, Distribution
from tests.unit.windows.emulated.doors import BEGAN, SOURCE, Doors
from tests.unit.windows.emulated.walk import gathered, walk, with_key
from tests.unit.windows.test_emulated_walks import WALKS, boxes, final, made

OWN = "# mine\n[experimental]\nsparseVhd=true\n"
LOG = rf"The log: {STATE}\bootstrap-wsl2.log"


# ---- whole runs


def both(box: Box, edition: str) -> int:
    """The script on a box until it needs no restart, compared with the same in Python on its copy."""
    other = deepcopy(box)
    while True:
        doors = Doors(box, edition)
        code, expected = doors.run(), walk(other)
        assert doors.shell.written == [*_lines(expected.lines), LOG]
        assert (code, doors.shell.errors) == (expected.code, [])
        assert _plain(box) == _plain(other)
        if code != 3010:
            return code
        assert box.boot < Box().boot + 6 * 86_400, "it asks for restart after restart"
        box.restart()
        other.restart()


def _lines(said: list[str]) -> list[str]:
    return [line for text in said for line in text.split("\n")]


def _plain(box: Box) -> Box:
    """Without what only the script writes: the line that goes on, byte by byte elsewhere; its folders."""
    one = deepcopy(box)
    for name in (rf"{STATE}\resume.cmd", BEGAN):
        one.files.pop(name, None)
    one.folders.clear()
    one.run_once = "there" if one.run_once else ""
    return one


@pytest.mark.parametrize("name", WALKS)
def test_emulated_script_walks_as_python_does(name: str) -> None:
    edition = EDITIONS[sorted(WALKS).index(name) % 2]
    box = made(WALKS[name])
    assert both(box, edition) == WALKS[name]["code"]
    assert box.files.get(CONFIG, "") == WALKS[name].get("wslconfig", "")


@settings(max_examples=6, deadline=None)
@given(boxes(), st.sampled_from(EDITIONS))
def test_emulated_script_walks_any_computer_as_python_does(box: Box, edition: str) -> None:
    both(box, edition)


@pytest.mark.parametrize("edition", EDITIONS)
def test_emulated_second_run_prepares_and_runs_and_changes_nothing_else(edition: str) -> None:
    box = Box(package="")
    assert walk(box).code == 0
    before = deepcopy(box)
    box.log.clear()
    assert (Doors(box, edition).run(), box.log) == (0, ["prepare", "up"])
    del box.files[BEGAN]
    assert (final(box), box.run_once) == (final(before), "")


@pytest.mark.parametrize(
    ("edition", "asked", "given"),
    [
        ("5.1", "", "up"),
        ("5.1", "profile=gemma3-270m  check", "up --profile=gemma3-270m --check"),
        ("7", "profile=gemma3-270m  check", "up --profile=gemma3-270m --check"),
        ("5.1", "--gpus none -v", "up --gpus none -v"),
    ],
)
def test_emulated_options_of_up_get_their_dashes_unless_they_have_some(
    edition: str, asked: str, given: str
) -> None:
    box = ready()
    box.distributions["Ubuntu"].copied = True
    doors = Doors(box, edition)
    doors.shell.load(SOURCE, constants=True)
    doors.shell.evaluate(f"$env:WSL_UTF8 = '1'; $Up = '{asked}'")
    facts = Table({"distribution": "Ubuntu", "inside.user": "ada", "inside.home": "/home/ada"})
    doors.shell.call("Invoke-Up", Facts=facts, Options=[])
    assert box.log == [given]


def test_emulated_exit_code_of_up_is_the_scripts() -> None:
    box = ready()
    box.up_ends = 4
    assert Doors(box).run() == 4


def ready() -> Box:
    """A computer on which all that is left is to prepare and to run."""
    there = {"Ubuntu": Distribution(user="ada", sudo="free", systemd="running")}
    return Box(distributions=there, files={CONFIG: "[wsl2]\nmemory=12GB\nswap=4GB\n"})


@pytest.mark.parametrize("name", [*(name for name in WALKS if WALKS[name]["code"] != 1), "forbidden"])
def test_emulated_what_if_changes_nothing(name: str) -> None:
    box = made(WALKS[name])
    if "fails" in WALKS[name].get("box", {}):
        box.fails = {}
    before = deepcopy(box)
    doors = Doors(box, EDITIONS[sorted(WALKS).index(name) % 2])
    code = doors.run(what_if=True)
    box.vm = before.vm  # looking into a distribution starts it
    for one, other in zip(box.distributions.values(), before.distributions.values(), strict=True):
        one.systemd = other.systemd
    assert box == before
    verdict = judge(gathered(deepcopy(before), {}), table())
    target = facts_of(gathered(deepcopy(before), {}), table())["distribution"]
    wanted = [f'What if: Performing the operation "{one.say}" on target "{target}".' for one in verdict.acts]
    asked = [line for line in doors.shell.written if line.startswith("What if:")]
    assert (code, asked) == ((1, []) if verdict.stops else (0, wanted))


# ---- the power goes


def nothing() -> Box:
    """A computer without WSL, whose settings are as they are wanted."""
    return replace(ready(), platform="off", hypervisor=False, package="", distributions={})


def wanting_settings() -> Box:
    return replace(ready(), files={CONFIG: OWN})


@pytest.mark.parametrize("box", [nothing(), wanting_settings()], ids=["nothing", "settings"])
def test_emulated_power_cut_before_anything_that_is_done_changes_nothing_in_the_end(box: Box) -> None:
    """Nothing of the script runs any more after one; the line is run again once Windows has started."""
    kept = box.files[CONFIG] if box.files[CONFIG] == OWN else None
    cuts = [deepcopy(box)]
    box.watched = lambda now: cuts.append(replace(deepcopy(now), watched=None))
    assert finished(box) == 0
    assert [name for name in box.files if name.startswith(STATE)] == [BEGAN]
    assert box.files.get(f"{CONFIG}.before-provision") == kept
    assert len(cuts) == len(box.log) + 1 > 8
    for cut in cuts:
        before = cut.log[-1:]
        cut.restart()
        assert (before, finished(cut)) == (before, 0)
        assert (before, final(cut), cut.run_once) == (before, final(box), "")


def finished(box: Box) -> int:
    """The script's exit code once no restart is asked for any more."""
    while (code := Doors(box).run()) == 3010:
        assert len(box.log) < 60
        box.restart()
    return code


# ---- going on after a restart

HOW = "powershell.exe -NoExit -ExecutionPolicy Bypass -File"
RESUMED = rf"""@echo off
chcp 65001 >nul
{HOW} "{ROOT}\scripts\bootstrap-wsl2.ps1" -Memory "24GB" -CpuOnly
"""


def test_emulated_the_line_that_goes_on() -> None:
    box = Box(platform="off", hypervisor=False, package="", asked={"memory": "24GB", "cpu": True})
    doors = Doors(box)
    assert doors.run() == 3010
    assert box.files[rf"{STATE}\resume.cmd"] == RESUMED.replace("\n", "\r\n")
    assert box.run_once == rf'cmd.exe /c start "provision" "{STATE}\resume.cmd"'
    assert box.files[rf"{STATE}\restart"] == str(box.boot)
    assert len(box.run_once) < 260, "RunOnce takes no more"


def test_emulated_nothing_goes_on_by_itself_once_up_has_run() -> None:
    """Windows forgets RunOnce as it starts; here the line ran again without that."""
    box = ready()
    box.run_once = "cmd.exe /c start"
    box.files |= {rf"{STATE}\resume.cmd": "", rf"{STATE}\restart": "1"}
    assert Doors(box).run() == 0
    assert (box.run_once, [name for name in box.files if name.startswith(STATE)]) == ("", [BEGAN])


def test_emulated_second_run_before_the_restart_waits_for_it() -> None:
    box = Box(platform="off", hypervisor=False, package="")
    assert Doors(box).run() == 3010
    box.log.clear()
    assert Doors(box).run() == 3010
    assert box.log == [rf"write {STATE}\restart", rf"write {STATE}\resume.cmd", "RunOnce"]


def test_emulated_restart_at_once_where_it_was_allowed() -> None:
    box = Box(platform="off", hypervisor=False, package="", asked={"restart": True})
    assert Doors(box).run() == 3010
    assert box.log[-1] == "Restart-Computer"


def test_emulated_a_start_that_moved_with_the_clock_is_no_restart() -> None:
    box = Box(platform="pending", files={rf"{STATE}\restart": str(Box().boot - 40)})
    assert Doors(box).run() == 3010
    box = ready()
    box.files[rf"{STATE}\restart"] = str(box.boot - 61)
    assert Doors(box).run() == 0


# ---- .wslconfig, byte by byte


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[wsl2]\r\nmemory=24GB\r\n"),
        (OWN, f"{OWN}\n[wsl2]\nmemory=24GB\n"),
        (OWN.replace("\n", "\r\n"), f"{OWN}\n[wsl2]\nmemory=24GB\n".replace("\n", "\r\n")),
        ("[wsl2]\nprocessors=4", "[wsl2]\nmemory=24GB\nprocessors=4"),
        ("[WSL2] # x\r\nprocessors=4\r\n", "[WSL2] # x\r\nmemory=24GB\r\nprocessors=4\r\n"),
        ("[wsl2]\r\n  Memory = 8GB # few\r\nswap=0\r\n", "[wsl2]\r\nmemory=24GB\r\nswap=0\r\n"),
        ("[wsl2]\n#memory=8GB\n", "[wsl2]\nmemory=24GB\n#memory=8GB\n"),
        ("[wsl2]\nmemoryReclaim=1\n", "[wsl2]\nmemory=24GB\nmemoryReclaim=1\n"),
    ],
)
def test_emulated_wslconfig_changes_in_one_place_and_is_kept_as_it_was_at_first(
    before: str, after: str
) -> None:
    doors = Doors(Box(files={CONFIG: before} if before else {}))
    doors.shell.load(SOURCE, constants=True)
    doors.shell.call("Set-WslConfig", Key="memory", Value="24GB")
    assert doors.box.files == {
        CONFIG: after,
        f"{CONFIG}.before-provision": before,
        rf"{STATE}\pending": "shutdown",
    }
    assert with_key(before, "memory", "24GB") == after
    doors.shell.call("Set-WslConfig", Key="memory", Value="25GB")
    assert doors.box.files[f"{CONFIG}.before-provision"] == before, "it is kept as it was at first"


@pytest.mark.parametrize("ends", [0, 4])
def test_emulated_console_speaks_utf_8_meanwhile_and_what_it_spoke_before_afterwards(ends: int) -> None:
    box = ready()
    box.up_ends = ends
    seen: list[list[object]] = []
    doors = Doors(box)
    look = "[Console]::InputEncoding; [Console]::OutputEncoding"
    box.watched = lambda _: seen.append(doors.shell.evaluate(look))
    assert doors.run() == ends
    assert ["utf-8", "utf-8"] in seen
    assert doors.shell.evaluate(look) == ["cp850", "cp850"]


@pytest.mark.parametrize("name", ["look.sh", "prepare.sh"])
def test_what_is_sent_inside_begins_with_a_comment(name: str) -> None:
    """Windows PowerShell may put a byte order mark before it, which makes a word of the first line's sign."""
    first, second, *_ = SCRIPT.with_name("wsl2").joinpath(name).read_text("utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith("#")
    assert not set("'\"`$\\&|;<>(") & set(first)
