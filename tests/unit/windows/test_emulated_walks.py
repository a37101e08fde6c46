"""The table's loop on emulated computers: from any of them it ends well, and asks for nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.windows.decide import Verdict, facts_of, judge
from provisioner.windows.table import Table, table
from provisioner.yamlfile import load_yaml
from tests.unit.windows.emulated import walk as loop
from tests.unit.windows.emulated.box import (
    APPS,
    BASIC,
    CONFIG,
    DEBIAN,
    GIB,
    INTEL,
    Box,
    Card,
    Distribution,
    Interrupted,
)  # fmt: skip
from tests.unit.windows.emulated.walk import Walk, gathered, walk

CASES = Path(__file__).parents[2] / "data" / "windows" / "emulated_walks.yml"
MSI, TAR = r"D:\wsl.2.6.1.0.x64.msi", r"D:\ubuntu-24.04.wsl"
AGAIN = ("prepare", "run", "run-asking")
# What may be done twice without harm, and is where the window was closed in between.
HARMLESS = ("prepare", "write ", "remove ", "RunOnce", "wsl.exe --shutdown", "wsl.exe --terminate", "up")


def several(box: Box, starts: int = 6) -> list[Walk]:
    """Calls of the script with Windows restarted after each that wants it."""
    walks = [walk(box)]
    while walks[-1].code == 3010 and len(walks) < starts:
        box.restart()
        walks.append(walk(box))
    return walks


# ---- any computer

DISTRIBUTIONS = st.builds(
    Distribution,
    flags=st.sampled_from([7, 15]),
    family=st.sampled_from(["ubuntu debian", "debian ", "kali debian", "fedora "]),
    systemd=st.sampled_from(["running", "configured", "off", "absent"]),
    starts=st.booleans(),
    user=st.just("grace"),
    sudo=st.sampled_from(["free", "password", "none"]),
    drives=st.sampled_from([True, True, True, False]),
    copied=st.booleans(),
    state=st.sampled_from([1, 1, 1, 3]),
)
NAMES = ["Ubuntu", "Ubuntu-24.04", "Debian", "docker-desktop", "Fedora"]
CONFIGS = ["", "[wsl2]\nmemory=8GB\n", "[wsl2]\r\nswap = 0\r\n", "[experimental]\nsparseVhd=true", "# none\n"]
ASKED: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "distribution": st.sampled_from(["Ubuntu-24.04", "Debian", "Ubuntu", "no such"]),
        "memory": st.sampled_from(["24GB", "8gb", "999GB", "24", "0GB", "24 GB"]),
        "swap": st.sampled_from(["0GB", "16GB", "much"]),
        "networking": st.sampled_from(["mirrored", "nat", "NAT", "mirored"]),
        "file": st.sampled_from([TAR, r"D:\none.wsl"]),
        "package": st.sampled_from([MSI, r"D:\none.msi"]),
        "cpu": st.booleans(),
        "shutdown": st.booleans(),
        "up": st.sampled_from(["", "profile=gemma3-270m"]),
    },
)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Computers that there can be."""
    platform = draw(st.sampled_from(["on", "off", "pending"]))
    firmware = draw(st.sampled_from([True, True, True, False]))
    there = draw(st.dictionaries(st.sampled_from(NAMES), DISTRIBUTIONS, max_size=3))
    package = draw(st.sampled_from(["", "0.60.0.0", "2.0.14.0", "2.6.1.0"]))
    hypervisor = firmware and (platform == "on" or draw(st.booleans()))
    runs = [name for name, one in there.items() if one.state == 1 and one.flags & 8]
    box = Box(
        build=draw(st.sampled_from(["19044", "19045", "22631", "26100"])),
        product=draw(st.sampled_from([1, 3])),
        memory=draw(st.sampled_from([8, 16, 32, 128])) * GIB - draw(st.sampled_from([0, 300 << 20])),
        firmware=firmware,
        hypervisor=hypervisor,
        launches=draw(st.sampled_from([True, True, True, False])),
        platform=platform,
        pending_shows=draw(st.sampled_from([1, 2])),
        cards=draw(
            st.sampled_from([(Card(),), (INTEL,), (INTEL, Card()), (BASIC_NVIDIA,), (OLD,), (BEHIND,), ()])
        ),
        free=draw(st.sampled_from([5, 20, 500])) * GIB,
        policy=draw(st.sampled_from(["", "", "", "1", "0"])),
        package=package,
        app=draw(st.booleans()) if not package else False,
        distributions=there,
        default=draw(st.sampled_from([*there, ""])) if there else "",
        running=set(draw(st.lists(st.sampled_from(runs)))) if runs and package and hypervisor else set(),
        files={MSI: "", TAR: ""},
        asked=draw(ASKED),
    )
    if config := draw(st.sampled_from(CONFIGS)):
        box.files[CONFIG] = config
    if draw(st.booleans()):
        box.launchers["Debian"] = rf"{APPS}\debian.exe"
    if box.running:
        box.vm = box.files.get(CONFIG, "")
    return box


BASIC_NVIDIA = replace(BASIC, hardware=Card().hardware)
OLD = replace(Card(), driver="27.21.14.5671")
BEHIND = replace(Card(), driver="31.0.15.2833")
EVERY = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def said_why(one: Walk) -> bool:
    """Whether a walk that did not end well says what is in the way, each with the next step."""
    reasons = [line for line in one.lines if line.startswith("Impossible: ")]
    return bool(reasons) and sum(line.startswith("  next: ") for line in one.lines) == len(reasons)


@EVERY
@given(boxes())
def test_emulated_it_ends_in_a_run_or_says_why_not(box: Box) -> None:
    """What `up` needs is asserted by the box itself."""
    walks = several(box)
    last = walks[-1]
    assert (last.code == 0 and last.acts[-1] in AGAIN) or (last.code == 1 and said_why(last)), last.lines
    for one in walks:
        assert max(Counter(one.acts).values(), default=1) == 1, one.acts
    assert len(walks) <= 3
    if last.code == 0:
        assert box.run_once == ""
        assert [line for line in box.files if line.endswith(("pending", "restart", "resume.cmd"))] == []


@EVERY
@given(boxes())
def test_emulated_a_finished_computer_is_prepared_and_run(box: Box) -> None:
    if several(box)[-1].code != 0:
        return
    before = deepcopy((box.distributions, box.files, box.package))
    again = walk(box)
    # Where systemd cannot start it is tried once a call, as whoever added its package expects.
    chosen = facts_of(gathered(box, {}), table())["distribution"]
    tried = box.distributions[chosen].systemd == "configured"
    wanted = ["prepare", *(["restart-distribution"] if tried else []), "run"]
    assert [name.removesuffix("-asking") for name in again.acts] == wanted
    assert (box.distributions, box.files, box.package) == before


@EVERY
@given(boxes(), st.integers(1, 24))
def test_emulated_it_goes_on_where_it_was_ended(box: Box, after: int) -> None:
    """Right after any change the window is closed, and the line is run again."""
    whole = deepcopy(box)
    ended = several(whole)[-1]
    box.ends_after = after
    try:
        several(box)
    except Interrupted:
        last = several(box)[-1]
        assert last.code == ended.code
        if ended.code == 0:
            assert final(box) == final(whole)

    def costly(one: Box) -> Counter[str]:
        return Counter(line for line in one.log if not line.startswith(HARMLESS))

    assert costly(box) <= costly(whole)


def final(box: Box) -> Any:
    """What a box has become, without what tells of the way."""
    return box.distributions, box.files, box.package, box.default, box.vm, box.platform


@EVERY
@given(boxes())
def test_emulated_what_if_names_one_way_and_the_first_thing_that_is_done(box: Box) -> None:
    verdict = judge(gathered(deepcopy(box), {}), table())
    names = [one.step.name for one in verdict.acts]
    for ways in (
        {"install-wsl", "install-wsl-from-file", "update-wsl", "update-wsl-from-file"},
        {"import-distribution", "register-distribution", "install-distribution"},
        {"run", "run-asking"},
        {"restart-windows", "restart-windows-now", "enable-platform"},
    ):
        assert len(ways & set(names)) <= 1, names
    if not verdict.stops:
        assert walk(box).acts[0] == names[0]


# ---- typical ones, line by line

WALKS: dict[str, dict[str, Any]] = load_yaml(CASES.read_text("utf-8")) if CASES.exists() else {}
ENDS = 6  # lines, of which the first is empty, that tell how it is reached
KINDS = {
    "cards": lambda names: tuple(
        {"nvidia": Card(), "intel": INTEL, "basic": BASIC_NVIDIA, "old": OLD, "behind": BEHIND}[one]
        for one in names
    ),
    "memory": lambda gib: gib * GIB,
    "free": lambda gib: gib * GIB,
    "distributions": lambda named: {
        name: Distribution(**({**DEBIAN, **said} if name == "Debian" else said))
        for name, said in named.items()
    },
    "running": set,
    "files": lambda named: {CONFIG if name == "wslconfig" else name: text for name, text in named.items()},
    "launchers": dict,
}


def made(case: dict[str, Any]) -> Box:
    """The box of a case."""
    said = {
        name: KINDS[name](value) if name in KINDS else value for name, value in case.get("box", {}).items()
    }
    box = Box(**said, asked=case.get("asked", {}))
    if box.running:
        box.vm = box.files.get(CONFIG, "")
    return box


@pytest.mark.parametrize("name", WALKS)
def test_emulated_walk(name: str) -> None:
    box = made(WALKS[name])
    walks = several(box)
    said = [*walks[0].lines, *(line for one in walks[1:] for line in ("(a restart)", *one.lines))]
    ends = WALKS["fresh-windows-11"]["says"][-ENDS:] if WALKS[name].get("ends") else []
    assert said == [*WALKS[name]["says"], *ends]
    assert walks[-1].code == WALKS[name]["code"]
    assert box.files.get(CONFIG, "") == WALKS[name].get("wslconfig", "")


def test_emulated_walks_reach_every_step_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    held: set[str] = set()

    def noted(found: Mapping[str, str], known: Table) -> Verdict:
        verdict = judge(found, known)
        held.update(
            one.step.name
            for kind in (verdict.stops, verdict.notes, verdict.acts, verdict.ends)
            for one in kind
        )
        return verdict

    monkeypatch.setattr(loop, "judge", noted)
    for case in WALKS.values():
        several(made(case))
    assert [one.name for one in table().steps if one.name not in held] == []
