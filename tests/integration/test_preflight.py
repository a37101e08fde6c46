"""`provision preflight` over SSH against a container: as root and not, beside one that is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.integration.cli import Provision
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

# What the firmware and the slots decide: nobody can tell from inside a container.
FIRMWARE = ("boot.", "iommu.", "pci.")
# What every kernel tells its own containers too, because it is the container's as well.
OF_THE_KERNEL = ("boot.lockdown",)
VERDICTS = ("pass", "warn", "fail")
NOWHERE = "nowhere.invalid"


@pytest.fixture(scope="module")
def box(module_machine_factory: MachineFactory) -> Machine:
    """A machine as its installer left it, with someone who may not become root."""
    return module_machine_factory(release="bookworm", users=("plain:no-sudo",))


def audited(provision: Provision, box: Machine, user: str, *more: str) -> dict[str, Any]:
    """The machine in the document, asked without the network."""
    said = provision("preflight", *provision.reach(box, user), "--no-network", "--json", *more)
    assert said.code in (0, 3), said.text
    assert said.err == ""
    return said.host(box.alias(user))


@pytest.mark.parametrize("user", ["root", "plain"])
def test_nothing_is_said_of_the_firmware_inside_a_container(
    box: Machine, module_provision: Provision, user: str
) -> None:
    host = audited(module_provision, box, user)
    assert host["purpose"] == "container"
    firmware = [one for one in host["findings"] if one["id"].startswith(FIRMWARE)]
    assert len(firmware) > 5
    judged = [
        (one["id"], one["status"], one["summary"])
        for one in firmware
        if one["status"] in VERDICTS and one["id"] not in OF_THE_KERNEL
    ]
    assert judged == []
    # Of all, it is said where to look.
    assert all("container" in one["summary"] or "GPU" in one["summary"] for one in firmware), firmware


def test_a_user_is_told_what_is_kept_from_them_and_nothing_else_differs(
    box: Machine, module_provision: Provision
) -> None:
    seen = {user: audited(module_provision, box, user) for user in ("root", "plain")}
    verdicts = {
        user: {(one["id"], one["subject"]): one["status"] for one in host["findings"]}
        for user, host in seen.items()
    }
    assert (seen["root"]["facts"]["privilege"], seen["plain"]["facts"]["privilege"]) == ("root", "none")
    for key in verdicts["root"].keys() & verdicts["plain"].keys():
        assert verdicts["plain"][key] in (verdicts["root"][key], "unknown"), key


def test_a_machine_stays_as_it_was(box: Machine, provision: Provision) -> None:
    listing = ("sh", "-c", "find / -xdev -newer /proc/1 -type f ! -path '/proc/*' ! -path '/sys/*' | sort")
    before = box.run(*listing).stdout
    audited(provision, box, "root")
    assert box.run(*listing).stdout == before
    assert not provision.state.exists()


def test_what_a_person_reads_and_every_file(box: Machine, provision: Provision, tmp_path: Path) -> None:
    files = [word for name in ("junit", "sarif", "html") for word in (f"--{name}", str(tmp_path / name))]
    said = provision("preflight", *provision.reach(box), *files)
    assert said.code in (0, 3), said.text
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{box.alias()}  Debian GNU/Linux 12 (bookworm)")
    assert lines[1].startswith("  judged as container: this is a ")
    assert [line for line in lines if line.startswith(("ready: ", "blocked: "))]
    assert [line for line in lines if len(line) > 100 and " " in line.strip()] == [], said.out
    suite = ET.parse(tmp_path / "junit").getroot()[0]
    document = json.loads((tmp_path / "sarif").read_text())
    assert len(document["runs"][0]["results"]) == int(suite.get("tests", "0")) > 20
    assert box.alias() in (tmp_path / "html").read_text()


def test_mirrors_are_asked_unless_told_otherwise(box: Machine, provision: Provision) -> None:
    said = provision("preflight", *provision.reach(box), "--json")
    network = said.host(box.alias())["facts"]["audit"]["network"]
    assert network["mirrors"]["value"], network
    assert audited(provision, box, "root")["facts"]["audit"]["network"] is None


def test_one_that_is_gone_beside_one_that_is_not(box: Machine, provision: Provision) -> None:
    argv = ("preflight", "--no-network", *provision.reach(box), "--host", NOWHERE)
    said = provision(*argv, "--json").expect(1)
    assert said.host(NOWHERE)["status"] == "failed"
    assert said.host(NOWHERE)["error"].startswith(f"{NOWHERE}: ")
    assert said.host(box.alias())["status"] in ("ready", "warned")
    told = provision(*argv).expect(1)
    assert told.out.rstrip().endswith("1 of 2 machines are ready")


def test_files_that_cannot_be_read_cost_their_own_checks(box: Machine, provision: Provision) -> None:
    whole = audited(provision, box, "root")
    box.run("sh", "-c", "mv /var/lib/dpkg/status /var/lib/dpkg/kept; mkdir /var/lib/dpkg/status")
    try:
        host = audited(provision, box, "root")
    finally:
        box.run("sh", "-c", "rmdir /var/lib/dpkg/status; mv /var/lib/dpkg/kept /var/lib/dpkg/status")
    verdicts = {(one["id"], one["subject"]): one["status"] for one in host["findings"]}
    changed = {
        one["id"]: verdicts.get((one["id"], one["subject"]), "gone")
        for one in whole["findings"]
        if verdicts.get((one["id"], one["subject"])) != one["status"]
    }
    assert changed
    assert set(changed.values()) <= {"unknown", "error", "gone"}, changed
    assert {identity.split(".")[0] for identity in changed} <= {"packages", "gpu", "kernel", "clock"}, changed


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ((), 0),
        (("--strict",), 3),
        (("--strict", "--purpose", "vfio-host"), 3),
    ],
)
def test_exit_codes(box: Machine, provision: Provision, argv: tuple[str, ...], code: int) -> None:
    said = provision("preflight", *provision.reach(box), "--no-network", *argv).expect(code)
    # The lab's machines have fewer cores than the general minimum, which only warns.
    assert "warning " in said.out
