"""What roles are going to do, and restarts that are foreseen, said before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.compat import Plan, Settings, make_plan
from provisioner.compat.roles import BY_NEED
from provisioner.drift import RoleDrift
from provisioner.facts import Facts
from provisioner.report.doing import doing, restart_ahead
from provisioner.report.page import write_page
from provisioner.report.result import HostResult, RunResult, Status, host_json
from provisioner.report.words import restart_needed, role_work
from tests.unit.compat.test_system_variables import OF_NVIDIA, UBUNTU_DRIVER, box, kept

DRIVER = "driver 580.178.04 with the open kernel modules, by ubuntu-prebuilt"
OPTIONS = {
    "kernel_options_boot": ["iommu=pt", "pcie_aspm=off"],
    "kernel_options_modprobe": {"nvidia": {"NVreg_EnableGpuFirmware": 0}},
    "kernel_options_blacklist": ["nouveau", "nova_core"],
}


def planned(facts: Facts, **settings: Any) -> Plan:
    plan = make_plan(facts, Settings(**settings))
    assert isinstance(plan, Plan), str(plan)
    return plan


@pytest.mark.parametrize(
    ("facts", "variables", "does"),
    [
        (box(gpu="none"), {}, {}),
        (
            box(),
            {},
            {"nvidia_driver": DRIVER, "cuda_toolkit": "CUDA toolkit 12.4 by runfile"},
        ),
        (
            box(os="debian12", driver="580.95.05"),
            {"nvidia_repository_mirror": "https://ada:secret@mirror/nvidia", "cuda_toolkit_cudnn": True},
            {
                "nvidia_repository": "NVIDIA's packages for debian12; from https://***@mirror/nvidia",
                "cuda_toolkit": "CUDA toolkit 12.4 by nvidia-repository; cuDNN",
            },
        ),
        (
            box(gpu="8x H100", os="ubuntu22.04"),
            {"cuda_toolkit_version": "none", "nvidia_driver_container_toolkit": True},
            {
                "nvidia_driver": f"{DRIVER}; the fabric manager of the same version, for NVSwitch; "
                "the toolkit by which containers get the GPUs",
            },
        ),
        (
            kept(box(driver="580.65.06"), {"nvidia_driver": UBUNTU_DRIVER, "cuda_toolkit": OF_NVIDIA}),
            {"cuda_toolkit_version": "none"},
            {"nvidia_driver": "driver 580.178.04 by ubuntu-prebuilt", "cuda_toolkit": None},
        ),
        (
            box(os="wsl2", driver="580.95.05"),
            {"cuda_toolkit_version": "none"},
            {"nvidia_driver": "the driver that is there is checked"},
        ),
        (
            box(gpu="none"),
            OPTIONS,
            {
                "kernel_options": "nvidia with NVreg_EnableGpuFirmware=0; the kernel started with iommu=pt "
                "pcie_aspm=off; without nouveau, nova_core",
            },
        ),
    ],
)
def test_each_role_in_a_clause(facts: Facts, variables: dict[str, Any], does: dict[str, Any]) -> None:
    plan = planned(facts, variables=variables)
    assert {role: doing(plan, role) for role in plan.roles if role in BY_NEED} == does
    assert [doing(plan, role) for role in plan.roles if role not in BY_NEED] == [None] * 4


def with_nouveau(facts: Facts) -> Facts:
    return replace(facts, gpus=tuple(replace(gpu, driver="nouveau") for gpu in facts.gpus))


@pytest.mark.parametrize(
    ("facts", "variables", "why"),
    [
        (box(), {}, None),
        (with_nouveau(box()), {}, "nouveau has the GPU"),
        (box(driver="535.274.02"), {"nvidia_driver_branch": "580"}, "driver 535.274.02 is loaded"),
        (box(driver="580.95.05"), {}, None),
        (
            box(os="debian12", secure_boot=True),
            {"nvidia_driver_route": "nvidia-repository"},
            "Secure Boot asks for the new key at the screen",
        ),
        (box(gpu="none"), {"kernel_options_boot": ["iommu=pt"]}, "the kernel's command line changes"),
        (box(gpu="none"), {"kernel_options_blacklist": ["nouveau"]}, None),
        (
            replace(box(gpu="none"), os=replace(box(gpu="none").os, container="lxc")),
            {"kernel_options_boot": ["iommu=pt"]},
            None,
        ),
    ],
)
def test_a_restart_is_said_before_it_happens(
    facts: Facts, variables: dict[str, Any], why: str | None
) -> None:
    plan = planned(facts, variables=variables)
    drifts = [RoleDrift(role, "drifted") for role in plan.roles]
    assert restart_ahead(facts, plan, drifts) == why
    host = HostResult("box", Status.DRIFTED, facts=facts, plan=plan, drift=drifts)
    assert restart_needed(host) == (f"will restart the machine once: {why}" if why else None)
    assert host_json(host)["restart_ahead"] == why
    # What is clean is not done again.
    assert restart_ahead(facts, plan, [replace(one, status="clean") for one in drifts]) is None


def test_terminal_document_and_page_say_the_same(tmp_path: Any) -> None:
    facts = box()
    plan = planned(facts)
    drift = RoleDrift("nvidia_driver", "drifted")
    host = HostResult("box", Status.DRIFTED, facts=facts, plan=plan, drift=[drift])
    assert role_work(host, drift) == f"{DRIVER} (runs again after what it stands on)"
    assert [one["does"] for one in host_json(host)["drift"]] == [DRIVER]
    write_page(RunResult("up", [host]), tmp_path / "page.html")
    assert DRIVER in (tmp_path / "page.html").read_text(encoding="utf-8")
