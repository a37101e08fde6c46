"""The plan of one or several boxes as plain data: what `plan --json` prints, and what tests compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from provisioner.compat.decide import Decision
from provisioner.compat.outline import Outline
from provisioner.compat.solver import Fact
from provisioner.errors import ExitCode, ProvisionError
from provisioner.secrecy import without_logins
from provisioner.sizing.model import Answer, Budget, Load, Machine, Variant, Way
from provisioner.sizing.plan import named

SCHEMA = 1


@dataclass(frozen=True)
class PlannedHost:
    """One box: its outline, or what went wrong before there was one."""

    name: str
    outline: Outline | None = None
    error: ProvisionError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What this box alone would make the command exit with."""
        if self.outline is None:
            return self.error.code if self.error else ExitCode.FAILED
        return ExitCode.DONE if self.outline.possible else ExitCode.PLAN_IMPOSSIBLE


def exit_code(hosts: Sequence[PlannedHost]) -> ExitCode:
    """The worst of them."""
    return ExitCode.worst([host.exit_code for host in hosts])


def plan_json(hosts: Sequence[PlannedHost]) -> dict[str, Any]:
    """The documented JSON document, schema 1 (docs/json.md)."""
    return {
        "schema": SCHEMA,
        "verb": "plan",
        "exit_code": int(exit_code(hosts)),
        "error": None,
        "hint": None,
        "hosts": [host_json(host) for host in hosts],
    }


def host_json(host: PlannedHost) -> dict[str, Any]:
    """One box of the document."""
    plan = outline_json(host.outline) if host.outline else None
    return {
        "name": host.name,
        "status": "failed" if plan is None else "possible" if plan["possible"] else "impossible",
        "exit_code": int(host.exit_code),
        "error": without_logins(host.error.message) if host.error else None,
        "hint": host.error.hint if host.error else None,
        "plan": plan,
    }


def outline_json(outline: Outline) -> dict[str, Any]:
    """One plan: what, on what, by which routes, how much memory; or why not."""
    decided = outline.decided
    memory = memory_json(outline.answer, outline.box.machine, outline.ask.load) if outline.answer else None
    routes, facts, notes, why_not = [], [], list(outline.notes), None
    if isinstance(decided, Decision):
        routes = [{**asdict(route), "packages": list(route.packages)} for route in decided.routes]
        facts = [_fact(fact) for fact in decided.facts]
        notes = [*decided.notes, *notes]
    if outline.chains:
        why_not = why_not_json(outline.chains, outline.changes)
    return {
        "possible": outline.possible,
        "box": _box(outline),
        "model": _model(outline),
        "routes": routes,
        "why_not": why_not,
        "memory": memory,
        "facts": facts,
        "notes": notes,
    }


def _box(outline: Outline) -> dict[str, Any]:
    box = outline.box
    return {
        "system": box.name,
        "known_as": box.system.name if box.system else None,
        "arch": box.arch or None,
        "kernel": box.kernel or None,
        "glibc": box.glibc,
        "python": box.python,
        "root": box.root,
        "wsl": box.wsl,
        "container": box.container,
        "secure_boot": box.secure_boot,
        "driver": box.driver,
        "cores": box.cores,
        "memory_bytes": box.memory_bytes,
        "gpus": None
        if box.gpus is None
        else [
            {
                "name": device.name,
                "count": device.count,
                "capability": device.capability,
                "memory_bytes": device.memory_bytes,
            }
            for device in box.gpus
        ],
        "unknown": sorted(box.unknown),
    }


def _model(outline: Outline) -> dict[str, Any]:
    profile, shape = outline.ask.profile, outline.ask.shape
    return {
        "profile": profile.name,
        "name": profile.model.name,
        "parameters": shape.parameters if shape else None,
        "architecture": shape.architecture if shape else None,
        "weights_bytes": weights_bytes(outline),
        "context": shape.context if shape else None,
        "source": shape.source if shape else None,
        "confidence": shape.confidence if shape else None,
    }


def weights_bytes(outline: Outline) -> int | None:
    """Of the files as they are published; None where nobody has looked."""
    shape, model = outline.ask.shape, outline.ask.profile.model
    listed = sum(item.size for item in model.files)
    in_tensors = sum(item.nbytes for item in shape.weights) if shape else 0
    return listed or in_tensors or model.about_bytes or None


def memory_json(answer: Answer, machine: Machine, load: Load) -> dict[str, Any]:
    """Bytes by part, what fits, what is best, what more would buy."""
    return {
        "machine": asdict(machine),
        "load": asdict(load),
        "chosen": _variant(answer.chosen),
        "best": None if answer.best is None else named(answer.best.way),
        "variants": [_short(variant) for variant in answer.variants],
        "gigabytes": [{"vram_bytes": count, "buys": text} for count, text in answer.gigabytes],
        "published": list(answer.published),
        "notes": dict(answer.notes),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {**_short(variant), "parts": _parts(variant.budget), "because": variant.verdict.because}


def _short(variant: Variant) -> dict[str, Any]:
    speed = variant.tokens_per_second
    return {
        "name": named(variant.way),
        "way": _way(variant.way),
        "fits": variant.verdict.fits,
        "vram_bytes": variant.budget.vram_bytes,
        "vram_room_bytes": variant.verdict.vram_room,
        "ram_bytes": variant.budget.ram_bytes,
        "ram_room_bytes": variant.verdict.ram_room,
        "largest_context": variant.largest_context,
        "largest_batch": variant.largest_batch,
        "tokens_per_second": None if speed is None else round(speed, 1),
        "loss": variant.loss,
    }


def _way(way: Way) -> dict[str, Any]:
    return asdict(way)


def _parts(budget: Budget) -> list[dict[str, Any]]:
    return [asdict(part) for part in budget.parts]


def why_not_json(chains: Sequence[Sequence[Fact]], changes: Sequence[str]) -> dict[str, Any]:
    """Chains of facts that exclude it, and ways out."""
    return {"chains": [[_fact(fact) for fact in chain] for chain in chains], "changes": list(changes)}


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "id": fact.id,
        "text": fact.text,
        "kind": fact.kind,
        "source": fact.source,
        "confidence": fact.confidence,
        "change": fact.change or None,
    }
