"""All rules, a module a subject."""

from __future__ import annotations

from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import iommu, memory, size, storage

RULES: tuple[Rule, ...] = (
    *iommu.RULES,
    *size.RULES,
    *memory.RULES,
    *storage.RULES,
)
