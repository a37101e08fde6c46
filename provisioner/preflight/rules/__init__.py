"""All rules, a module a subject."""

from __future__ import annotations

from provisioner.preflight.rule import Rule
from provisioner.preflight.rules import memory, size

RULES: tuple[Rule, ...] = (*size.RULES, *memory.RULES)
