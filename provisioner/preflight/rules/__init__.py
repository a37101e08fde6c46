"""All rules, a module a subject."""

from __future__ import annotations

from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import (
    bench,
    boot,
    driver,
    iommu,
    kernel,
    links,
    memory,
    network,
    packages,
    processor,
    size,
    slots,
    storage,
    system,
)

RULES: tuple[Rule, ...] = (
    *iommu.RULES,
    *processor.RULES,
    *boot.RULES,
    *slots.RULES,
    *links.RULES,
    *size.RULES,
    *memory.RULES,
    *storage.RULES,
    *bench.RULES,
    *driver.RULES,
    *kernel.RULES,
    *packages.RULES,
    *system.RULES,
    *network.RULES,
)
