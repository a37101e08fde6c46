"""What the script finds when it looks at an emulated computer, and how it understands programs."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.windows.decide import facts_of
from provisioner.windows.table import table
from tests.powershell import Native, Ran, Shell
from tests.powershell.shell import EDITIONS
from tests.unit.windows.emulated.box import APPS, BASIC, CONFIG, STATE, Box, Card, Distribution
from tests.unit.windows.emulated.doors import SOURCE, Doors
from tests.unit.windows.emulated.walk import gathered
from tests.unit.windows.test_decide import RECORDED


def gathered_by(doors: Doors, distribution: str = "x") -> dict[str, object]:
    """What the script's two lookers find, without its loop."""
    doors.shell.load(SOURCE, constants=True)
    doors.shell.evaluate(f"$Distribution = '{distribution}'")
    for name in ("Memory", "Swap", "Networking", "Up", "DistributionFile", "WslPackage"):
        doors.shell.evaluate(f"${name} = 'x'")
    doors.shell.evaluate("$env:WSL_UTF8 = '1'; $Machine = Get-Machine")
    found = doors.shell.call("Get-Gathered")
    assert isinstance(found, dict)
    return {str(name): value for name, value in found.items()}


def test_emulated_script_gathers_what_is_declared() -> None:
    box = Box(
        cards=(BASIC, Card()),
        distributions={"Ubuntu": Distribution(user="ada", sudo="free"), "docker-desktop": Distribution()},
        running={"docker-desktop"},
        launchers={"Debian": rf"{APPS}\debian.exe"},
        files={CONFIG: "[wsl2]", rf"{STATE}\restart": "1", rf"{STATE}\pending": "shutdown"},
        policy="1",
    )
    found = gathered_by(Doors(box))
    names = {str(name) for name in found}
    known = {
        name.replace("*", one) for name in table().gathered for one in ("Ubuntu", "docker-desktop", "Debian")
    }
    assert names - known == set()
    # What is only there after something was done or went wrong, or in a distribution of that name.
    later = {"prepared", "given", "started", "ran", "inside.failed"}
    inside = {name for name in known if name.startswith(("inside.", "distribution.", "launcher."))}
    assert known - names - later - inside == set()


def test_emulated_a_wsl_that_speaks_in_two_bytes_is_understood() -> None:
    """Older ones write UTF-16 whatever is asked, and PowerShell reads it as bytes."""
    doors = Doors(Box(wsl_says="\0".join("WSL-Version: 0.60.0.0\nKernelversion: 5.10.102.1")))
    found = gathered_by(doors)
    assert found["wsl.version"] == "WSL-Version: 0.60.0.0\nKernelversion: 5.10.102.1"
    assert facts_of({"wsl.version": str(found["wsl.version"])}, table())["wsl_version"] == "0.60.0"


@pytest.mark.parametrize("case", RECORDED["running"], ids=lambda one: one["text"].splitlines()[0])
def test_emulated_the_distributions_that_run_beside_the_chosen_one(case: dict[str, Any]) -> None:
    """Where none runs a sentence says so, in the language of Windows."""
    there = {"Ubuntu": Distribution(), "docker-desktop": Distribution()}
    box = Box(distributions=there, default="Ubuntu", running_says=case["text"].split("\n"))
    assert gathered_by(Doors(box), "Ubuntu").get("others_running", "") == case["others"]
    assert gathered(box, {})["others_running"] == case["others"]


@pytest.mark.parametrize("edition", EDITIONS)
def test_emulated_what_a_program_writes_to_stderr_is_no_error(edition: str) -> None:
    """Windows PowerShell 5.1 ends scripts at the first of them, where 'Stop' is preferred."""
    shell = Shell(
        {"wsl.exe": Native(lambda words, fed: Ran(1, ["out"], ["wsl: a warning"]))}, edition=edition
    )
    shell.load(SOURCE)
    shell.evaluate("$ErrorActionPreference = 'Stop'")
    assert shell.call("Invoke-Native", "wsl.exe", ["--version"]) == "out\nwsl: a warning"
    assert shell.evaluate("$Code") == [1]
