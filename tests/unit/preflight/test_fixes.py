from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from provisioner import layout
from provisioner.audit import KernelImage
from provisioner.preflight.finding import Finding, Severity, Status
from provisioner.preflight.fixes import FIXES, NAMES, fixes_for
from provisioner.preflight.judge import preflight
from provisioner.preflight.remedies import by_hand
from tests.unit.preflight.cases import case

WARNED = Finding(
    id="clock.synchronized",
    name="Clock",
    category="system",
    status="warn",
    severity="warning",
    confidence="confirmed",
    subject="",
    observed="not synchronized",
    expected="synchronized",
    summary="Nothing sets the clock.",
    impact="",
    remedy=by_hand("systemctl enable --now systemd-timesyncd", fix="time-sync"),
)
HEADERS = replace(WARNED, id="kernel.headers", status="fail", remedy=by_hand("apt", fix="kernel-headers"))


@pytest.mark.parametrize(
    ("findings", "fixes"),
    [
        ([], ()),
        ([WARNED], ("time-sync",)),
        # The order is that of the fixes, and two findings may want the same one.
        ([HEADERS, WARNED, replace(HEADERS, subject="6.1.0-40-amd64")], ("time-sync", "kernel-headers")),
        ([replace(WARNED, remedy=by_hand("set it"))], ()),
        ([replace(WARNED, remedy=None)], ()),
    ],
)
def test_what_findings_ask_for(findings: list[Finding], fixes: tuple[str, ...]) -> None:
    assert fixes_for(findings) == fixes


@pytest.mark.parametrize(
    ("status", "severity"),
    [("pass", "none"), ("pass", "info"), ("unknown", "none"), ("not_applicable", "none"), ("error", "none")],
)
def test_what_is_not_known_to_be_wrong_is_not_fixed(status: Status, severity: Severity) -> None:
    assert fixes_for([replace(WARNED, status=status, severity=severity)]) == ()


NOW, NEXT = KernelImage("6.1.0-18-amd64", headers=False), KernelImage("6.1.0-40-amd64", headers=False)


@pytest.mark.parametrize(
    ("given", "fixes"),
    [
        ({"clock": {"synchronized": False}}, ("time-sync",)),
        ({"clock": {"synchronized": False}, "os": {"id": "rocky", "like": ("rhel fedora",)}}, ()),
        ({"software": {"unattended": ("nvidia-driver",)}}, ("unattended-upgrades",)),
        (
            {"software": {"unattended": ("nvidia-driver",)}, "os": {"id": "pop", "like": ("ubuntu debian",)}},
            ("unattended-upgrades",),
        ),
        ({"software": {"kernels": (NOW,)}, "gpus": 1}, ("kernel-headers",)),
        # Only those of the kernel that runs.
        ({"software": {"kernels": (replace(NOW, headers=True), NEXT)}, "gpus": 1}, ()),
        ({"software": {"kernels": (NOW,)}, "gpus": 1, "os": {"id": "fedora"}}, ()),
    ],
)
def test_what_rules_offer(given: Mapping[str, Any], fixes: tuple[str, ...]) -> None:
    asked = case(**given)
    assert fixes_for(preflight(asked.facts).findings) == fixes


def test_the_role_knows_just_these_fixes() -> None:
    spec = yaml.safe_load((layout.roles() / "preflight_fixes/meta/argument_specs.yml").read_text("utf-8"))
    choices = spec["argument_specs"]["main"]["options"]["preflight_fixes_apply"]["choices"]
    assert tuple(choices) == NAMES == tuple(FIXES)
