"""What is audited before anything is changed, and what stays untouched because of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from provisioner.audit import Audit, DriverSource, KernelImage, Reading, Software, Volume
from provisioner.compat import Settings
from provisioner.engine.gate import gate, needs_of
from provisioner.engine.preflight import Terms
from provisioner.engine.survey import Surveyed, judge
from provisioner.errors import ProvisionError
from provisioner.facts import Facts
from provisioner.hosts.errors import Unreachable
from provisioner.preflight.needs import Needs
from provisioner.report import words
from provisioner.report.result import HostResult, Status
from tests.unit.compat.test_plan import GPU_24, facts
from tests.unit.engine.test_converge import FakeTransport

STATE = "/var/lib/provisioner"
BROKEN = Audit(
    volumes={STATE: Reading("read", Volume(STATE, "/", "ext4", ("ro",), free_bytes=10**12), "", "mounts")}
)


class Box(FakeTransport):
    """A box whose second look, the audit, gives `audit`."""

    def __init__(self, audit: Audit | ProvisionError) -> None:
        super().__init__("box", [])
        self.audit = audit
        self.asked: list[tuple[dict[str, Any], Any]] = []

    def call(self, entry: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
        self.asked.append((request, how.get("privilege")))
        if isinstance(self.audit, ProvisionError):
            raise self.audit
        answer = super().call(entry, request)
        return replace(Facts.decode(answer), audit=self.audit).to_json()


def look(box: Box, settings: Settings | None = None, terms: Terms | None = None) -> HostResult:
    assert isinstance(box.answer, dict)
    before = Surveyed(judge("box", box.answer, settings or Settings()), box)
    (after,) = gate([before], terms or Terms())
    return after.result


def blocking(result: HostResult) -> Sequence[str]:
    return [one.id for one in result.preflight.blocking] if result.preflight else []


def test_a_box_that_is_about_to_be_changed_is_audited_without_asking_mirrors() -> None:
    box = Box(Audit())
    result = look(box)
    assert (result.status, blocking(result)) == (Status.DRIFTED, [])
    ((request, privilege),) = box.asked
    assert privilege == "auto"
    assert (request["receipts"], request["audit"]["network"]) == ([], None)
    assert request["audit"]["volumes"] == ["/var/lib/provisioner"]


def test_what_blocks_leaves_the_box_alone_and_names_the_next_step() -> None:
    result = look(Box(BROKEN))
    assert (result.status, result.exit_code, blocking(result)) == (
        Status.BLOCKED, 3, ["storage.file-system"],
    )  # fmt: skip
    assert words.ending(result).startswith("blocked: ")
    assert words.next_step(result)


def test_a_person_may_know_better() -> None:
    result = look(Box(BROKEN), terms=Terms(ignore=("storage.file-system",)))
    assert (result.status, blocking(result)) == (Status.DRIFTED, [])
    assert result.preflight is not None
    found = [one for one in result.preflight.findings if one.id == "storage.file-system"]
    assert [(one.status, one.severity) for one in found] == [("warn", "high")]


def test_a_box_that_is_gone_by_now_has_failed() -> None:
    result = look(Box(Unreachable("box: gone", hint="start it")))
    assert (result.status, result.error, result.hint) == (Status.FAILED, "box: gone", "start it")


@pytest.mark.parametrize(
    ("settings", "privilege"), [(Settings(scope="user"), "none"), (Settings(scope="system"), "auto")]
)
def test_who_wants_no_root_is_not_audited_as_root(settings: Settings, privilege: str) -> None:
    box = Box(Audit())
    look(box, settings)
    assert [how for _, how in box.asked] == [privilege]


@pytest.mark.parametrize("status", [Status.CONVERGED, Status.IMPOSSIBLE, Status.FAILED])
def test_a_box_that_would_not_be_changed_is_not_looked_at_again(status: Status) -> None:
    box = Box(BROKEN)
    assert isinstance(box.answer, dict)
    before = Surveyed(replace(judge("box", box.answer, Settings()), status=status), box)
    assert gate([before], Terms()) == [before]
    assert box.asked == []


@pytest.mark.parametrize(
    ("driver", "variables", "installs", "nbytes"),
    [
        (None, {}, True, 11_500_000_000),
        (None, {"cuda_toolkit_version": "none"}, True, 1_500_000_000),
        ("580.65.06", {}, False, 10_000_000_000),
        ("580.65.06", {"cuda_toolkit_version": "none"}, False, 0),
    ],
)
def test_a_driver_and_a_toolkit_that_are_to_come_are_needs(
    driver: str | None, variables: dict[str, str], installs: bool, nbytes: int
) -> None:
    box = facts(gpus=[GPU_24], driver_version=driver)
    result = judge("box", box.to_json(), Settings(variables=variables))
    assert result.plan is not None
    needs = needs_of(result.plan, result.drift, box)
    assert (needs.driver, needs.system_bytes, needs.downloads) == (installs, nbytes, True)
    # What is clean is there.
    clean = [replace(drift, status="clean") for drift in result.drift]
    needs = needs_of(result.plan, clean, box)
    assert (needs.driver, needs.system_bytes, needs.downloads) == (False, 0, False)


def test_the_room_for_a_toolkit_is_looked_at_where_it_goes() -> None:
    box = Box(Audit())
    box.answer = facts(gpus=[GPU_24], driver_version="580.65.06").to_json()
    look(box)
    ((request, _),) = box.asked
    assert request["audit"]["volumes"] == ["/var/lib/provisioner", "/usr"]


# What the role that installs a driver mends must not keep it from running.
MENDED = Audit(
    software=Software(
        kernels=Reading("read", (KernelImage("6.1.0-9-amd64", headers=False),), "", "/lib/modules"),
        nouveau=Reading("read", "loaded", "", "/proc/modules"),
        gcc=Reading("absent", None, "no gcc", "PATH"),
        half_configured=Reading("read", ("nvidia-dkms-550 (half-configured)",), "", "dpkg"),
        library_driver=Reading("read", "535.274.02", "", "/usr/lib"),
        module_file=Reading("read", "550.54.14", "", "/lib/modules"),
        loaded_driver=Reading("absent", None, "not loaded", "/proc"),
        driver_sources=Reading("read", (DriverSource("distribution", "x", "535.274.02"),), "", "dpkg"),
        dkms_failed=Reading("read", ("nvidia/550.54.14",), "", "/var/lib/dkms"),
    )
)
BY_HAND = replace(
    MENDED,
    software=replace(
        MENDED.software,
        nouveau=Reading("read", "built-in", "", "/lib/modules"),
        driver_sources=Reading("read", (DriverSource("runfile", "x", "535.274.02"),), "", "/usr/bin"),
    ),
)


@pytest.mark.parametrize(
    ("audit", "blocked_by"), [(MENDED, []), (BY_HAND, ["gpu.driver-source", "gpu.nouveau"])]
)
def test_what_a_role_mends_does_not_block_it(audit: Audit, blocked_by: list[str]) -> None:
    box = Box(audit)
    box.answer = facts(gpus=[GPU_24]).to_json()
    result = look(box)
    assert result.plan is not None
    assert "nvidia_driver" in result.plan.roles
    assert sorted(blocking(result)) == blocked_by


def test_what_is_there_already_needs_neither_room_nor_a_network() -> None:
    result = judge("box", facts().to_json(), Settings())
    assert result.plan is not None
    assert result.facts is not None
    wanted = result.plan.profile.requires
    fresh = Needs(
        profile="gemma3-270m",
        cores=wanted.cores,
        memory_bytes=wanted.memory_bytes,
        vram_bytes=0,
        disk_bytes=wanted.disk_bytes,
        weights="/var/lib/provisioner",
        gpu=False,
        downloads=True,
    )
    assert needs_of(result.plan, result.drift, result.facts) == fresh
    clean = [replace(drift, status="clean") for drift in result.drift]
    assert needs_of(result.plan, clean, result.facts) == replace(fresh, downloads=False)
