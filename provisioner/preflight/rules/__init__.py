"""All rules, a module a subject."""

from __future__ import annotations

from provisioner.preflight.rule import Rule

RULES: tuple[Rule, ...] = ()
