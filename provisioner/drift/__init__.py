"""Drift: receipts against what the box looks like now, and against what is wanted of it."""

from __future__ import annotations

from provisioner.drift.drift import DriftItem, Expected, RoleDrift, Status, drift, rerun

__all__ = ["DriftItem", "Expected", "RoleDrift", "Status", "drift", "rerun"]
