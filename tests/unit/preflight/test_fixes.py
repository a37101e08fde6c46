from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from provisioner import layout
from provisioner.preflight.finding import Finding, Severity, Status
from provisioner.preflight.fixes import FIXES, NAMES, fixes_for
from provisioner.preflight.remedies import by_hand

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


def test_the_role_knows_just_these_fixes() -> None:
    spec = yaml.safe_load((layout.roles() / "preflight_fixes/meta/argument_specs.yml").read_text("utf-8"))
    choices = spec["argument_specs"]["main"]["options"]["preflight_fixes_apply"]["choices"]
    assert tuple(choices) == NAMES == tuple(FIXES)
